"""What is said of a net that has learned, and of one that has not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import nets
import solve
from fcn.commands import verify as command
from fcn.engine import open_net
from fcn.predictor import Predictor
from fcn.verify import Verdict
from fcn.verify.predictions import predictions
from tests.toolkit.conftest import WIDTH
from tests.toolkit.sets import nyud
from voc_layers.sets.nyud import NyudFolder


def two_colours(root: Path) -> Path:
    """Images of two halves, blue and red: of two classes that can be told by their colour."""
    folder = root / "halves"
    for name in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (folder / name).mkdir(parents=True)
    for i in range(4):
        label = np.zeros((64, 128), np.uint8)
        label[:, 64 * (i % 2) :][:, :64] = 1
        image = np.where(label[..., None] == 1, (220, 40, 40), (40, 40, 220)).astype(np.uint8)
        Image.fromarray(image).save(folder / f"JPEGImages/{i}.png")
        Image.fromarray(label).save(folder / f"SegmentationClass/{i}.png")
    for name, ids in {"train": "0\n1\n", "val": "2\n3\n"}.items():
        (folder / f"ImageSets/Segmentation/{name}.txt").write_text(ids)
    (folder / "classes.txt").write_text("sea\nbrick\n")
    return folder


def test_a_net_that_has_learned_passes(
    tmp_path: Path, base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It tells two colours apart after a few steps, and is sound in all that can be looked at."""
    args = ["voc-fcn32s", "--data", two_colours(tmp_path), "--weights", base, "--width", WIDTH]
    steps = ["--runs", tmp_path / "runs", "--iters", 12, "--base-lr", 5e-3, "--test-every", 0]
    assert solve.main([*map(str, (*args, *steps))]) == 0
    capsys.readouterr()
    assert command.main([str(tmp_path / "runs/voc-fcn32s"), "--json"]) == 0
    checks = {row["name"]: row for row in json.loads(capsys.readouterr().out)["checks"]}
    assert checks["predictions"]["verdict"] == Verdict.PASS and not checks["predictions"]["remedy"]
    assert checks["predictions"]["evidence"].startswith(
        "2 images of val: 2 classes predicted, 2 in the labels"
    )
    assert {row["verdict"] for row in checks.values()} == {Verdict.PASS, Verdict.UNKNOWN}


def test_a_net_of_two_inputs_is_run_on_both(tmp_path: Path) -> None:
    """One that has not learned says class 0 everywhere."""
    model, folder = "nyud-fcn32s-color-d", NyudFolder(nyud(tmp_path), views=("color", "depth"))
    net = open_net(None, model, classes=len(folder.classes), arch=nets.get(model).arch.scaled(0.05))
    found = predictions(Predictor(net, inputs=folder.inputs), folder.split("test"), 2)
    assert found.verdict is Verdict.FAIL and found.evidence.startswith(
        "2 images of test: 1 classes predicted"
    )
