"""Snapshots are whole or not there; a run goes on bit for bit from wherever it was stopped."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import caffe
import solve
from caffe.proto import caffe_pb2
from fcn.runs import STATES, Run, read_rows
from fcn.train.keeping.snapshots import Snapshots
from fcn.train.numbers import Diverged, check_step
from fcn.weights.caffemodel import arrays
from tests.source_tree import ROOT
from tests.toolkit.conftest import WIDTH, draw

COMMON = ("--base-lr", 1e-6, "--seed", 3)


def command(data: Path, base: Path, *more: object, runs: str = "runs") -> list[str]:
    options = [
        "--data",
        data,
        "--weights",
        base,
        "--width",
        WIDTH,
        "--runs",
        data.parent / runs,
        *COMMON,
        *more,
    ]
    return ["voc-fcn32s", *map(str, options)]


def run_of(data: Path, runs: str = "runs") -> Run:
    return Run(data.parent / runs / "voc-fcn32s")


def start(arguments: list[str], **options: object) -> subprocess.Popen[str]:
    program = [sys.executable, str(ROOT / "solve.py"), *arguments]
    return subprocess.Popen(program, stderr=subprocess.PIPE, text=True, **options)  # type: ignore[call-overload]


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    while not path.exists() and process.poll() is None:
        time.sleep(0.005)


def weights(run: Run, iteration: int) -> dict[str, list[bytes]]:
    return {k: [a.tobytes() for a in v] for k, v in arrays(run.snapshots()[iteration]).items()}


def beside(run: Run, iteration: int) -> tuple[Any, dict, list]:
    """The history, generators and positions, and the losses, of a snapshot."""
    state = run.snapshots(STATES)[iteration]
    resume, loop = (json.loads(state.with_suffix(s).read_text()) for s in (".resume", ".loop.json"))
    solver = caffe_pb2.SolverState.FromString(state.read_bytes())
    solver.learned_net = ""  # a path
    return solver, resume, loop["losses"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, base: Path) -> Path:
    """The folder of a data set, and of a run of 12 steps on it that nothing stopped."""
    data = draw(tmp_path_factory.mktemp("whole"))
    assert solve.main(command(data, base, "--iters", 12, "--snapshot", 3, "--test-every", 6)) == 0
    return data.parent


@pytest.fixture
def whole(made: Path, tmp_path: Path) -> Run:
    """A copy of that run."""
    return Run(Path(shutil.copytree(run_of(made / "data").path, tmp_path / "whole")))


def test_a_run_that_is_killed_again_and_again_ends_as_the_one_that_was_not(
    made: Path, base: Path, whole: Run
) -> None:
    """SIGKILL at random moments, two of them while a snapshot is written."""
    data, drawn = made / "data", random.Random(5)
    run = run_of(data, "again")
    arguments = command(data, base, "--iters", 12, "--snapshot", 3, "--test-every", 6, runs="again")
    for kill in range(5):
        resume = ["--resume", "auto"] if kill else []
        process = start([*arguments, *resume])
        wait_for(run.curves if kill else run.log, process)
        if kill in (1, 3):
            while process.poll() is None and not list(run.prefix.parent.glob(".*.tmp")):
                pass
        else:
            time.sleep(drawn.uniform(0, 0.4))
        process.kill()
        process.communicate()
    assert solve.main([*arguments, "--resume", "auto"]) == 0
    assert not list(run.path.rglob("*.tmp"))
    assert weights(run, 12) == weights(whole, 12)
    assert beside(run, 12) == beside(whole, 12)
    assert read_rows(run.scores) == read_rows(whole.scores)
    losses = [[row["loss_per_image"] for row in read_rows(found.curves)] for found in (run, whole)]
    assert losses[0] == losses[1]


def spoil(path: Path, how: str) -> None:
    data = bytearray(path.read_bytes())
    if how == "cut":
        data = data[: len(data) // 2]
    elif how == "flipped":
        data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("suffix", [".caffemodel", ".solverstate", ".resume", ".loop.json"])
@pytest.mark.parametrize("how", ["cut", "flipped", "gone", "swapped"])
def test_a_set_that_is_not_whole_is_passed_over(
    whole: Run, suffix: str, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = whole.prefix.parent / f"train_iter_12{suffix}"
    if how == "swapped":
        path.write_bytes((whole.prefix.parent / f"train_iter_9{suffix}").read_bytes())
    elif how == "gone":
        path.unlink()
    else:
        spoil(path, how)
    newest = Snapshots(whole).newest()
    assert newest is not None and newest.name == "train_iter_9.solverstate"
    if (how, suffix) != ("gone", ".solverstate"):
        assert path.name in caplog.text
        with pytest.raises(ValueError, match=path.name):
            Snapshots(whole).checked(whole.prefix.parent / "train_iter_12.solverstate")


def test_the_last_and_the_best_snapshots_are_kept(data: Path, base: Path) -> None:
    arguments = command(data, base, "--iters", 12, "--snapshot", 1, "--test-every", 4, "--keep-last", 2)
    assert solve.main(arguments) == 0
    run = run_of(data)
    best = run.best()
    assert list(run.snapshots()) == sorted({11, 12, best}) == list(run.snapshots(STATES))
    assert {name.split(".")[0] for name in os.listdir(run.prefix.parent)} == {
        "index", *(f"train_iter_{number}" for number in (11, 12, best)),
    }  # fmt: skip
    assert list(Snapshots(run).complete()) == sorted({11, 12, best})


@pytest.mark.slow
def test_a_disk_that_comes_back_is_used_again(
    data: Path, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(data)
    folder, away = run.prefix.parent, data.parent / "away"
    process = start(
        command(data, base, "--iters", 100_000, "--snapshot", 5, "--test-every", 0, "--disk-wait", 5)
    )
    wait_for(folder / "index.json", process)
    before = set(Snapshots(run).complete())
    folder.rename(away)
    said = ""
    assert process.stderr
    while "could not be written" not in said and process.poll() is None:
        said = process.stderr.readline()
    assert "the folder is gone" in said
    away.rename(folder)
    while "can be written again" not in said and process.poll() is None:
        said = process.stderr.readline()
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert process.returncode == 128 + signal.SIGTERM
    assert max(Snapshots(run).complete()) > max(before)


@pytest.mark.slow
def test_a_disk_that_stays_away_stops_the_training(data: Path, base: Path) -> None:
    run = run_of(data)
    process = start(
        command(data, base, "--iters", 100_000, "--snapshot", 5, "--test-every", 0, "--disk-wait", 0)
    )
    wait_for(run.prefix.parent / "index.json", process)
    kept = run.prefix.parent.rename(data.parent / "away")
    _, said = process.communicate()
    assert process.returncode == 1 and "no snapshot could be written" in said and "--resume" in said
    kept.rename(run.prefix.parent)
    assert Snapshots(run).newest() is not None


def test_sighup_takes_a_snapshot_and_goes_on(data: Path, base: Path) -> None:
    run = run_of(data)
    process = start(command(data, base, "--iters", 100_000, "--snapshot", 0, "--test-every", 0))
    wait_for(run.curves, process)
    process.send_signal(signal.SIGHUP)
    wait_for(run.prefix.parent / "index.json", process)
    (first,) = Snapshots(run).complete()
    while int(read_rows(run.curves)[-1]["iteration"]) <= first and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 128 + signal.SIGINT
    assert list(Snapshots(run).complete())[-1] > first > 0


def test_effects_are_chosen(data: Path, base: Path) -> None:
    run = run_of(data)
    effects = ("--sigint-effect", "none", "--sighup-effect", "stop")
    process = start(command(data, base, "--iters", 100_000, "--test-every", 0, *effects))
    wait_for(run.curves, process)
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert process.poll() is None
    process.send_signal(signal.SIGHUP)
    process.communicate()
    assert process.returncode == 128 + signal.SIGHUP and Snapshots(run).newest()


def test_the_time_that_is_up_has_a_status_of_its_own(data: Path, base: Path) -> None:
    arguments = command(data, base, "--iters", 100_000, "--test-every", 0)
    assert solve.main([*arguments, "--max-hours", "0.0001"]) == 75
    assert Snapshots(run_of(data)).newest() is not None


def test_a_gradient_that_is_no_number_is_found_in_its_layer(whole: Run) -> None:
    job = whole.job()
    assert job is not None
    os.chdir(whole.path)
    solver = caffe.get_solver(str(_solver_of(whole)))
    solver.step(1)
    loss = float(solver.net.blobs["loss"].data)
    check_step(job, whole, solver, loss)
    solver.net.params["conv3_1"][1].diff[...] = np.nan
    with pytest.raises(Diverged, match=rf"iteration 1 of whole \(image {job.images(0)[0]}\).*'conv3_1'"):
        check_step(job, whole, solver, loss)


def _solver_of(run: Run) -> Path:
    path = run.path / "again.prototxt"
    text = run.solver.read_text()
    path.write_text(text.replace(str(run.path.parent / "runs/voc-fcn32s"), str(run.path)))
    return path


def test_a_job_knows_which_image_a_step_reads(whole: Run) -> None:
    job = whole.job()
    assert job is not None
    solver = caffe.get_solver(str(_solver_of(whole)))
    for step in range(4):
        solver.step(1)
        (name,) = job.images(step)
        assert np.array_equal(solver.net.blobs["label"].data[0, 0], job.split("train").folder.label(name))


@pytest.mark.slow
def test_memory_that_is_not_enough_names_the_image(data: Path, base: Path) -> None:
    """A limit on the process's memory, as a container has."""
    big = np.zeros((2600, 2600), np.uint8)
    Image.fromarray(np.stack([big] * 3, 2)).save(data / "JPEGImages/0.jpg")
    Image.fromarray(big).save(data / "SegmentationClass/0.png")
    (data / "ImageSets/Segmentation/train.txt").write_text("0\n")
    limit = (
        "import resource, sys, solve; "
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize(); "
        "resource.setrlimit(resource.RLIMIT_AS, (used + (900 << 20),) * 2); "
        "sys.exit(solve.main(sys.argv[1:]))"
    )
    arguments = command(data, base, "--iters", 2, "--test-every", 0)
    done = subprocess.run(
        [sys.executable, "-c", limit, *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "CAFFE_ALGORITHMS": "reference"},
    )
    assert done.returncode == 1, done.stderr
    assert "out of memory at image 0 (2600, 2600)" in done.stderr and "--width" in done.stderr
    assert "Traceback" not in done.stderr
