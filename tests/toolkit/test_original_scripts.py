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
