"""What solve.py stands on: recipes, checks at the start, progress, run folders, weight files."""

from __future__ import annotations

import logging
import math
import re
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import nets
from caffe.proto import caffe_pb2
from fcn import caffemodel, chain, startup, weights
from fcn.inputs import Inputs
from fcn.progress import Meter
from fcn.runs import STATES, Run, read_rows
from tests.toolkit.conftest import WIDTH


def test_base_lr_keeps_the_ratio_between_stages() -> None:
    rows = chain.recipes(list(chain.CHAIN), None, 1e-8, max_iter=5, snapshot=None)
    assert [row.base_lr for row in rows] == pytest.approx([1e-8, 1e-10, 1e-12])
    assert [(row.max_iter, row.snapshot) for row in rows] == [(5, 4000)] * 3


def test_startup_findings() -> None:
    proto = caffe_pb2.NetParameter()
    blobs = {
        "conv": np.zeros((2, 2, 3, 3)),
        "kept": np.ones((2, 2)),
        "new": np.ones((2, 2)),
        "score": np.zeros((2, 2, 1, 1)),
        "up": np.ones((2, 2, 4, 4)),
        "fixed": np.zeros(2),
    }
    types = {"conv": "Convolution", "up": "Deconvolution", "fixed": "Scale"}
    for name in blobs:
        proto.layer.add(name=name, type=types.get(name, "InnerProduct"))
    proto.layer[-1].param.add(lr_mult=0)
    net = SimpleNamespace(params={name: [SimpleNamespace(data=array)] for name, array in blobs.items()})
    found = dict(startup.findings(net, proto, untouched=["new", "score", "fixed", "up"]))
    assert list(found) == ["conv", "new", "up"]
    assert "zero" in found["conv"] and "received no weights" in found["new"] and "bilinear" in found["up"]


@pytest.mark.parametrize("normalized", [False, True])
def test_the_meter_gives_both_losses(tmp_path: Path, normalized: bool) -> None:
    run, label = Run.create(tmp_path, "r"), np.full((1, 1, 4, 5), 255)
    label[0, 0, :2] = 1  # ten valid pixels
    meter = Meter(run, "r", 0, 2, images_per_step=20, display=1, normalized=normalized, stream=StringIO())
    assert meter.update(1, 3.0, label) and not meter.update(2, math.nan, label)
    row = read_rows(run.curves)[0]
    expected = (30.0, 3.0) if normalized else (3.0, 0.3)
    assert (float(row["loss_per_image"]), float(row["loss_per_pixel"])) == expected
    assert row["images"] == "20"


def test_the_meter_rewrites_one_line_on_a_terminal(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Terminal(StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    meter = Meter(Run.create(tmp_path, "r"), "r", 0, 2, 1, display=1, normalized=True, stream=stream)
    with caplog.at_level(logging.INFO):
        for iteration in (1, 2):
            meter.update(iteration, 0.5, np.zeros(1))
    assert stream.getvalue().count("\r") == 2 and stream.getvalue().endswith("left\n")
    assert not caplog.records


def test_the_newest_snapshot_is_that_of_the_highest_iteration(tmp_path: Path) -> None:
    run = Run.create(tmp_path, "r")
    assert run.newest() is None
    for name in (
        "train_iter_9.caffemodel",
        "train_iter_10.caffemodel",
        "train_iter_2.caffemodel.h5",
        "train_iter_11.caffemodel.tmp",
        "train_iter_9.solverstate",
    ):
        (run.path / "snapshot" / name).touch()
    assert list(run.snapshots()) == [2, 9, 10]
    assert run.newest().name == "train_iter_10.caffemodel"
    assert run.newest(STATES).name == "train_iter_9.solverstate"


def test_a_resumed_run_writes_its_curve_anew_from_there(tmp_path: Path) -> None:
    run = Run.create(tmp_path, "r")
    for iteration in (20, 40, 60):
        run.append(run.curves, {"iteration": iteration, "loss": 1})
    run.rewind(40)
    assert [row["iteration"] for row in read_rows(run.curves)] == ["20", "40"]


def test_fingerprint_changes_with_the_data(data: Path) -> None:
    before = Inputs.own(data).fingerprint("train")
    assert before == Inputs.own(data).fingerprint("train")
    (data / "SegmentationClass/1.png").write_bytes(b"changed")
    after = Inputs.own(data).fingerprint("train")
    assert before["images"] == after["images"] == 3 and before["digest"] != after["digest"]


def test_shapes_of_current_and_old_caffemodels(tmp_path: Path, base: Path) -> None:
    found = caffemodel.shapes(base)
    assert found["fc6"] == [(204, 24 * 49), (204,)] and found["conv1_1"] == [(4, 3, 3, 3), (4,)]
    old = caffe_pb2.NetParameter()
    layer = old.layers.add(name="fc6", type=caffe_pb2.V1LayerParameter.INNER_PRODUCT)
    layer.blobs.add(num=1, channels=1, height=2, width=3, data=range(6))
    layer.blobs.add(num=1, channels=1, height=1, width=2, data=range(2))
    path = tmp_path / "old.caffemodel"
    path.write_bytes(old.SerializeToString())
    assert caffemodel.shapes(path) == {"fc6": [(1, 1, 2, 3), (1, 1, 1, 2)]}
    blobs = [SimpleNamespace(data=np.zeros(shape)) for shape in ((2, 3), (2,))]
    caffemodel.check_fit(path, {"fc6": blobs}, caffemodel.shapes(path))
    with pytest.raises(ValueError, match=r"'fc6', parameter 1: file \(1, 1, 1, 2\), net \(3,\)"):
        caffemodel.check_fit(
            path, {"fc6": [blobs[0], SimpleNamespace(data=np.zeros(3))]}, caffemodel.shapes(path)
        )


@pytest.mark.parametrize("content", ["", "<html>not a model</html>", "half"])
def test_a_file_that_is_no_caffemodel_is_said_to_be_none(tmp_path: Path, base: Path, content: str) -> None:
    path = tmp_path / "x.caffemodel"
    path.write_bytes(base.read_bytes()[:-1000] if content == "half" else content.encode())
    with pytest.raises(ValueError, match=re.escape(str(path))):
        caffemodel.shapes(path)


def test_random_weights_are_those_of_the_seed(tmp_path: Path, base: Path) -> None:
    def made(seed: int) -> bytes:
        weights.save_random("vgg16", tmp_path / "w", seed=seed, arch=nets.VGG16.scaled(WIDTH), classes=4)
        return (tmp_path / "w").read_bytes()

    assert made(1337) == base.read_bytes() and made(1) != base.read_bytes()
    with pytest.raises(ValueError, match="one of vgg16, caffenet"):
        weights.save_random("voc-fcn8s", tmp_path / "w")
