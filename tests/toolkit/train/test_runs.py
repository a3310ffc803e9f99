"""What training stands on: recipes, checks at the start, progress, run folders, jobs."""

from __future__ import annotations

import logging
import math
import re
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nets
import solvers
from fcn.runs import STATES, Run, read_rows
from fcn.train import Job, recipes
from fcn.train.progress import Begin, Meter
from voc_layers import VocFolder


def test_base_lr_keeps_the_ratio_between_stages() -> None:
    rows = recipes(nets.CHAIN, None, 1e-8, max_iter=5, snapshot=None)
    assert [row.base_lr for row in rows] == pytest.approx([1e-8, 1e-10, 1e-12])
    assert [(row.max_iter, row.snapshot) for row in rows] == [(5, 4000)] * 3


def job(**recipe: Any) -> Job:
    """A job without data."""
    row = replace(solvers.recipe("voc-fcn32s"), display=1, max_iter=2, **recipe)
    return Job("voc-fcn32s", row, {"train": nets.PythonData("Images")}, ("a", "b"))


@pytest.mark.parametrize("normalized", [False, True])
def test_the_meter_gives_both_losses(tmp_path: Path, normalized: bool) -> None:
    run, label = Run(tmp_path), np.full((1, 1, 4, 5), 255)
    label[0, 0, :2] = 1  # ten valid pixels
    meter = Meter(job(normalize=normalized, iter_size=20), run, Begin(), batch=1, stream=StringIO())
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
    meter = Meter(job(), Run(tmp_path), Begin(), batch=1, stream=stream)
    with caplog.at_level(logging.INFO):
        for iteration in (1, 2):
            meter.update(iteration, 0.5, np.zeros(1))
    assert stream.getvalue().count("\r") == 2 and stream.getvalue().endswith("left\n")
    assert not caplog.records


@pytest.mark.parametrize("trunk", [None, nets.VGG(stages=((4,), (4, 4), (8,), (8,), (8,)), fc=8)])
def test_a_run_gives_back_the_job_that_it_was_given(tmp_path: Path, trunk: nets.VGG | None) -> None:
    data = VocFolder(tmp_path, ("sky", "road"), mean=(1.5, 2.0, 3.1), void=7)
    layers = {"train": nets.PythonData.reading(data, "train", seed=4)}
    given = Job(
        "voc-fcn8s", solvers.recipe("voc-fcn8s"), layers, data.classes, 0.1, trunk, (tmp_path / "w",), 3
    )
    run = Run(tmp_path)
    assert run.job() is None
    run.record(given, {"from_iteration": 0})
    run.record(given, {"from_iteration": 5})
    found = run.job()
    assert found == given
    assert [str(found.build(form)) for form in ("train", "deploy")] == [
        str(given.build(form)) for form in ("train", "deploy")
    ]
    assert found.inputs[0].mean == data.mean and found.split("train").folder == data
    assert [launch["from_iteration"] for launch in run.launches()] == [0, 5]


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"model": "voc-fcn8s"}', '{"version": 1, "job": {"model": "x"}}']
)
def test_a_run_json_that_is_none_is_refused_by_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(ValueError, match=re.escape(str(tmp_path / "run.json"))):
        Run(tmp_path).job()


def test_the_newest_snapshot_is_that_of_the_highest_iteration(tmp_path: Path) -> None:
    run = Run(tmp_path).make()
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
    run = Run(tmp_path).make()
    for iteration in (20, 40, 60):
        run.append(run.curves, {"iteration": iteration, "loss": 1})
    run.rewind(40)
    assert [row["iteration"] for row in read_rows(run.curves)] == ["20", "40"]


def test_fingerprint_changes_with_the_data(data: Path) -> None:
    def fingerprint() -> dict[str, Any]:
        return VocFolder.open(data).split("train").fingerprint()

    before = fingerprint()
    assert before == fingerprint()
    (data / "SegmentationClass/1.png").write_bytes(b"changed")
    after = fingerprint()
    assert before["images"] == after["images"] == 3 and before["digest"] != after["digest"]
