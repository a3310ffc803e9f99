"""`make bench`: what it compares, writes and refuses; the times themselves prove nothing here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import report
from benchmarks.case import Case
from benchmarks.contest import Contest, Interpreters, Row, relative_error
from benchmarks.machine import Limits, describe
from benchmarks.results import Outcome, Results

ROOT = Path(__file__).resolve().parents[2]


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", *arguments]
    env = {name: value for name, value in os.environ.items() if name != "CAFFE_ROOT"}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)


def test_importing_the_benchmarks_leaves_the_environment_alone() -> None:
    """And the log with it: `make docs` and tests import them and go on."""
    program = """
import os, pkgutil
before = dict(os.environ)
import benchmarks
for module in pkgutil.walk_packages(benchmarks.__path__, "benchmarks."):
    if not module.name.startswith("benchmarks.peers.") or module.name == "benchmarks.peers.pycaffe":
        __import__(module.name)
import caffe.io, logging
assert dict(os.environ) == before and logging.getLogger("caffe").level == logging.INFO
"""
    env = {name: value for name, value in os.environ.items() if not name.startswith("GLOG_")}
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_net_is_timed_compared_and_reported(tmp_path: Path) -> None:
    """The engine beside PyTorch, a library that is not installed and a Caffe that is not there."""
    done = bench(
        "--models", "squeezenet", "--sizes", "64x80", "--peers", "eager,mnn,bvlc", "--rounds", "2",
        "--peers-python", sys.executable, "--out", str(tmp_path / "out"), "--work", str(tmp_path / "work"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    files = {Path(line) for line in done.stdout.splitlines() if line.startswith(str(tmp_path))}
    assert {path.suffix for path in files} == {".json", ".md", ".png"}
    assert list((tmp_path / "work").iterdir()) == []

    (stored,) = (path for path in files if path.suffix == ".json")
    results = Results.open(stored)
    (outcome,) = results.outcomes
    assert (outcome.model, outcome.size, outcome.task) == ("squeezenet", (64, 80), "inference")
    rows = {row.contestant: row for row in outcome.rows}
    for name in ("engine", "eager"):
        assert rows[name].error is not None and rows[name].error < 1e-5, rows[name]
        assert len(rows[name].seconds) == 2 and rows[name].peak and not rows[name].reason
    assert "No module named 'MNN'" in rows["mnn"].reason
    assert "CAFFE_ROOT" in rows["bvlc"].reason
    assert stored.with_suffix(".md").read_text() == report.document(results)
    assert stored.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("interpreter", "reason"), [("/bin/false", "ended with status 1"), ("/nowhere/python", "/nowhere/python")]
)
def test_a_process_that_ends_is_a_row_with_the_reason(tmp_path: Path, interpreter: str, reason: str) -> None:
    case = Case(tmp_path / "8x8", "a case", macs=1, threads=1)
    case.save()
    (row,) = Contest(case, "inference", Interpreters(Path(interpreter))).run(["onnxruntime"], 1)
    assert reason in row.reason and row.median is None


def test_who_cannot_do_a_task_says_so(tmp_path: Path) -> None:
    case = Case(tmp_path / "8x8", "a case", macs=1, threads=1, gpu=True)
    case.save()
    for task, reason in (("training", "does not train"), ("inference", "CPU only")):
        (row,) = Contest(case, task, Interpreters(Path(sys.executable))).run(["ncnn"], 1)
        assert reason in row.reason


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--models", "vgg19"), "vgg19"),
        (("--peers", "darknet"), "darknet"),
        (("--sizes", "334"), "HxW"),
        (("--rounds", "0"), "--rounds"),
        (("--sizes", "64x64", "--models", "alexnet"), "--sizes"),
    ],
)
def test_a_wrong_argument_is_named(arguments: tuple[str, ...], said: str) -> None:
    done = bench(*arguments)
    assert done.returncode == 2 and said in done.stderr and not done.stdout


@pytest.fixture
def results() -> Results:
    """The engine between a faster one, a slower one and one that computes something else."""
    rows = [
        Row("engine", "1", [0.2, 0.1, 0.3], 1e-6, 2**30),
        Row("mnn", "2", [0.1, 0.1, 0.1], 1e-4, 2**29),
        Row("eager", "3", [0.4, 0.4, 0.4], 1e-6, 2**30),
        Row("ncnn", "4", [], 0.5, None, "computes something else"),
    ]
    outcome = Outcome("fcn8s", "FCN-8s", (334, 500), "inference", 10**10, rows)
    return Results("2026-11-28", "python -m benchmarks", "abc", describe(), 2, Limits(200.0, 20.0), [outcome])


def test_results_are_read_as_they_were_written(results: Results, tmp_path: Path) -> None:
    paths = report.write(results, tmp_path)
    assert Results.open(paths[0]) == results
    assert json.loads(paths[0].read_text())["outcomes"][0]["rows"][3]["reason"] == "computes something else"


def test_ratios_are_times_over_the_engines(results: Results) -> None:
    (outcome,) = results.outcomes
    assert [outcome.ratio(name) for name in ("engine", "mnn", "eager")] == [1.0, 0.5, 2.0]
    assert outcome.ratio("ncnn") is None and outcome.ratio("openvino") is None
    assert outcome.gflops(outcome.rows[0]) == pytest.approx(100)  # half of the machine's peak
    assert "MNN 2.00 x" in report.summary(results)


def test_the_error_is_of_the_largest_value_and_shapes_have_to_agree() -> None:
    wanted = np.array([[[[4.0]], [[-8.0]]]])
    assert relative_error(np.array([4.0, -7.0]), wanted) == 1 / 8
    assert relative_error(wanted.transpose(1, 0, 2, 3)[:1], wanted) == float("inf")
