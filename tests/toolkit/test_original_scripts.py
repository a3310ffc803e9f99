"""Scripts written against the reference release's modules, moved to Python 3 and not otherwise changed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import nets

ROOT = Path(__file__).resolve().parents[2]
ARCH = nets.VGG16.scaled(0.05)  # the width of the fixture `base`
LINES = ("loss", "overall accuracy", "mean accuracy", "mean IU", "fwavacc")

FIRST_STAGE = """
import sys
import caffe
import surgery, score
import numpy as np

caffe.set_mode_cpu()
solver = caffe.SGDSolver('solver.prototxt')
classifier = caffe.Net('vgg16.prototxt', sys.argv[1], caffe.TRAIN)
surgery.transplant(solver.net, classifier)
del classifier
interp_layers = [k for k in solver.net.params.keys() if 'up' in k]
surgery.interp(solver.net, interp_layers)

val = np.loadtxt(sys.argv[2], dtype=str)
for _ in range(2):
    solver.step(2)
    score.seg_tests(solver, False, val, layer='score')
solver.net.save('weights.caffemodel')
"""

NEXT_STAGE = """
import sys
import caffe
import surgery, score
import numpy as np

solver = caffe.SGDSolver('solver.prototxt')
solver.net.copy_from(sys.argv[1])
interp_layers = [k for k in solver.net.params.keys() if 'up' in k]
surgery.interp(solver.net, interp_layers)

val = np.loadtxt(sys.argv[2], dtype=str)
for _ in range(2):
    solver.step(1)
    score.seg_tests(solver, 'pred/{}', val, layer='score', gt='label')
"""


def stage(folder: Path, model: str, data: Path, script: str) -> Path:
    """A folder as the reference release has one for each net: prototxts, an empty snapshot/, solve.py."""
    (folder / "snapshot").mkdir(parents=True)
    layers = nets.pascal(str(data), None, val_split="val")
    for form in ("train", "val"):
        (folder / f"{form}.prototxt").write_text(
            str(nets.build(model, form, data=layers, classes=3, arch=ARCH))
        )
    (folder / "vgg16.prototxt").write_text(str(nets.build("vgg16", "deploy", arch=ARCH, classes=4)))
    (folder / "solver.prototxt").write_text(
        'train_net: "train.prototxt" test_net: "val.prototxt" test_iter: 2 test_interval: 999999999 '
        'display: 2 average_loss: 2 lr_policy: "fixed" base_lr: 1e-8 momentum: 0.99 iter_size: 1 '
        'max_iter: 100000 weight_decay: 0.0005 snapshot: 4000 snapshot_prefix: "snapshot/train" '
        "test_initialization: false"
    )
    (folder / "solve.py").write_text(script)
    return folder


def run(folder: Path, *arguments: Path) -> list[tuple[int, str, float]]:
    """Run the folder's solve.py there; the (iteration, name, value) lines it prints."""
    done = subprocess.run(
        [sys.executable, "solve.py", *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    begun = re.findall(r"^>>> \d+-\d+-\d+ \S+ Begin seg tests$", done.stdout, re.M)
    rows = re.findall(r"^>>> \d+-\d+-\d+ \S+ Iteration (\d+) (.+) (\S+)$", done.stdout, re.M)
    assert len(begun) + len(rows) == len(done.stdout.splitlines()) and len(begun) == 2
    return [(int(iteration), name, float(value)) for iteration, name, value in rows]


def test_the_originals_solve_scripts_train_score_and_hand_over(
    data: Path, base: Path, tmp_path: Path
) -> None:
    val = data / "ImageSets/Segmentation/val.txt"
    coarse = stage(tmp_path / "voc-fcn32s", "voc-fcn32s", data, FIRST_STAGE)
    rows = run(coarse, base, val)
    assert [(i, name) for i, name, _ in rows] == [(i, name) for i in (2, 4) for name in LINES]
    assert not list(coarse.glob("pred*"))

    finer = stage(tmp_path / "voc-fcn16s", "voc-fcn16s", data, NEXT_STAGE)
    rows = run(finer, coarse / "weights.caffemodel", val)
    assert [(i, name) for i, name, _ in rows] == [(i, name) for i in (1, 2) for name in LINES]
    assert sorted(p.name for p in finer.glob("pred/*/*.png")) == ["3.png", "3.png", "4.png", "4.png"]
    right = total = 0
    for name in ("3", "4"):
        with Image.open(finer / f"pred/2/{name}.png") as saved:
            assert saved.mode == "P"
            guess = np.array(saved)
        with Image.open(data / f"SegmentationClass/{name}.png") as saved:
            truth = np.array(saved)
        assert guess.shape == truth.shape
        right += int((guess == truth)[truth != 255].sum())
        total += int((truth != 255).sum())
    printed = {name: value for i, name, value in rows if i == 2}
    assert printed["overall accuracy"] == pytest.approx(right / total)


TWO_LABELINGS_LAYER = """
import random
import numpy as np
import caffe

class TwoLabelingsLayer(caffe.Layer):
    def setup(self, bottom, top):
        params = eval(self.param_str_)
        if len(top) != 3:
            raise Exception("Need to define three tops.")
        self.shapes = params['shapes']
        self.random = 'train' in params['split']
        self.idx = 0
        if self.random:
            random.seed(params['seed'])

    def reshape(self, bottom, top):
        h, w = self.shapes[self.idx]
        self.data = np.arange(3 * h * w).reshape(3, h, w) % 7
        self.sem = (np.arange(h * w).reshape(1, h, w) % 4).astype(np.uint8)
        self.sem -= 1  # rotate labels so classes start at 0, void is 255
        self.geo = self.data[:1] % 2
        top[0].reshape(1, *self.data.shape)
        top[1].reshape(1, *self.sem.shape)
        top[2].reshape(1, *self.geo.shape)

    def forward(self, bottom, top):
        top[0].data[...] = self.data
        top[1].data[...] = self.sem
        top[2].data[...] = self.geo
        if self.random:
            self.idx = random.randint(0, len(self.shapes) - 1)
        else:
            self.idx = (self.idx + 1) % len(self.shapes)

    def backward(self, top, propagate_down, bottom):
        pass
"""

TWO_LABELINGS = """
import caffe
from caffe import layers as L
import score

def net(split):
    n = caffe.NetSpec()
    n.data, n.sem, n.geo = L.Python(module='own_layers', layer='TwoLabelingsLayer', ntop=3,
            param_str=str(dict(split=split, seed=1337, shapes=[(6, 8), (5, 7)])))
    n.score_sem = L.Convolution(n.data, num_output=3, kernel_size=1, weight_filler=dict(type='xavier'))
    n.score_geo = L.Convolution(n.data, num_output=2, kernel_size=1, weight_filler=dict(type='xavier'))
    n.loss = L.SoftmaxWithLoss(n.score_sem, n.sem, loss_param=dict(normalize=False, ignore_label=255))
    n.loss_geo = L.SoftmaxWithLoss(n.score_geo, n.geo, loss_param=dict(normalize=False, ignore_label=255))
    return n.to_proto()

for split in ('trainval', 'test'):
    with open('%s.prototxt' % split, 'w') as f:
        f.write(str(net(split)))

solver = caffe.SGDSolver('solver.prototxt')
solver.step(3)
score.seg_tests(solver, 'sem-{}', ['first', 'second'], layer='score_sem', gt='sem')
score.seg_tests(solver, 'geo-{}', ['first', 'second'], layer='score_geo', gt='geo')
"""


def test_a_data_layer_of_their_own_with_two_labelings_trains_and_is_scored(tmp_path: Path) -> None:
    (tmp_path / "own_layers.py").write_text(TWO_LABELINGS_LAYER)
    (tmp_path / "solve.py").write_text(TWO_LABELINGS)
    (tmp_path / "solver.prototxt").write_text(
        'train_net: "trainval.prototxt" test_net: "test.prototxt" test_iter: 2 test_interval: 999999999 '
        'lr_policy: "fixed" base_lr: 1e-4 momentum: 0.99 test_initialization: false'
    )
    rows = run(tmp_path)
    assert [(i, name) for i, name, _ in rows] == [(3, name) for name in LINES] * 2
    accuracy = [value for _, name, value in rows if name == "overall accuracy"]
    for (labeling, classes), printed in zip({"sem": 3, "geo": 2}.items(), accuracy, strict=True):
        right = total = 0
        for name, (h, w) in {"first": (6, 8), "second": (5, 7)}.items():
            truth = np.arange(h * w).reshape(h, w) % 4 - 1
            if labeling == "geo":
                truth = np.arange(h * w).reshape(h, w) % 7 % 2
            with Image.open(tmp_path / f"{labeling}-3/{name}.png") as saved:
                guess = np.array(saved)
            assert guess.shape == (h, w) and guess.max() < classes
            right += int((guess == truth)[truth >= 0].sum())
            total += int((truth >= 0).sum())
        assert printed == pytest.approx(right / total)
