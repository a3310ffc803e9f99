"""`fcn train` in several processes: one training, one run, whoever of them is stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest

import nets
import solve
import solvers
from fcn.engine import open_net
from fcn.job import Job
from fcn.ranks import World
from fcn.ranks.batch import announce_batch, images_a_step
from fcn.runs import STATES, Run, read_rows
from fcn.weights.caffemodel import arrays
from nets import PythonData
from tests.ranks import Ranks, launched, ranks_of, same_weights
from tests.source_tree import ROOT
from tests.toolkit.conftest import WIDTH

SOON = {"CAFFE_RANK_TIMEOUT": "4"}


@pytest.fixture(scope="module")
def biased(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`base` with biases: of zero ones it hangs on the last bit which units of the border are on."""
    path = tmp_path_factory.mktemp("biased") / "vgg16.caffemodel"
    net = open_net(None, "vgg16", classes=4, arch=nets.get("vgg16").arch.scaled(WIDTH))
    net.copy_from(str(base))
    rng = np.random.default_rng(1)
    for _, bias in net.params.values():
        bias.data[...] = rng.uniform(0.05, 0.2, bias.data.shape)
    net.save(str(path))
    return path


def arguments(data: Path, weights: Path, runs: str, *more: object) -> list[str]:
    options = [
        "voc-fcn32s",
        "--data",
        data,
        "--weights",
        weights,
        "--width",
        WIDTH,
        "--runs",
        data.parent / runs,
    ]
    # A seed at which no unit hangs on the last bit, as one does at a third of them: the weights of several
    # processes differ by 1e-8, which Winograd's sums make 1e-6, and a unit that is on here is off there.
    options += ["--recipe", "heavy", "--base-lr", 1e-6, "--seed", 4, "--test-every", 0, *more]
    return [str(option) for option in options]


def training(count: int, line: list[str], **env: str) -> AbstractContextManager[Ranks]:
    """Processes that train."""
    return launched(solve.main, count, line, **env)


def of(data: Path, runs: str) -> Run:
    return Run(data.parent / runs / "voc-fcn32s")


def weights(run: Run, step: int) -> list[np.ndarray]:
    return [array for held in arrays(run.snapshots()[step]).values() for array in held]


def test_two_and_four_processes_train_what_one_does_and_go_on_from_each_other(
    data: Path, biased: Path
) -> None:
    """Dropout and the order of the images included, by 1e-6 of each array."""
    often = ("--snapshot", 4)
    with training(1, arguments(data, biased, "whole", "--iters", 8, "--iter-size", 4, *often)) as ranks:
        assert ranks.all_say == [0]
    with training(2, arguments(data, biased, "several", "--iters", 4, "--iter-size", 2, *often)) as ranks:
        assert ranks.all_say == [0, 0]
    run, whole = of(data, "several"), of(data, "whole")
    assert same_weights(weights(run, 4), weights(whole, 4), 1e-6)
    assert run.launches()[-1]["images_a_step"] == 4
    assert [row["images"] for row in read_rows(run.curves)] == ["16"]
    more = ["--resume", str(run.path), "--iters", "8", "--iter-size", "1"]
    with training(4, more) as ranks:
        assert ranks.all_say == [0] * 4
    assert same_weights(weights(run, 8), weights(whole, 8), 1e-6)
    rows = [[r[key] for key in ("iteration", "images")] for r in read_rows(run.curves)]
    assert rows == [["4", "16"], ["8", "32"]]
    assert not list(run.path.glob("run.lock"))


def test_a_signal_to_one_process_stops_all_with_a_snapshot(data: Path, biased: Path) -> None:
    run = of(data, "runs")
    with training(2, arguments(data, biased, "runs", "--iters", 100_000, "--snapshot", 3)) as ranks:
        while not run.snapshots(STATES):
            time.sleep(0.01)
        os.kill(ranks.processes[1].pid, signal.SIGTERM)
        assert ranks.all_say == [143, 143]
    states = run.snapshots(STATES)
    assert states and max(states) < 100_000


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_process_that_is_lost_ends_the_training(data: Path, biased: Path, number: int, capfd) -> None:
    run = of(data, "runs")
    line = arguments(data, biased, "runs", "--iters", 100_000, "--snapshot", 3)
    with training(2, line, **SOON) as ranks:
        while not run.snapshots(STATES):
            time.sleep(0.01)
        os.kill(ranks.processes[1].pid, number)
        assert ranks.says(0) == 1
        ranks.processes[0].join()
        lost = ranks.processes[1].pid
    assert f"solve.py, rank 0 of 2: rank 1 (process {lost} on" in capfd.readouterr().err


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", **SOON, **more}


@pytest.mark.slow
def test_torchrun_starts_the_processes_anew_and_they_end_with_the_same_weights(
    data: Path, biased: Path
) -> None:
    """One of them is killed, first in its own steps and then the one that writes the run."""
    started = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    ends = {}
    for kills in (0, 2):
        run = of(data, f"killed{kills}")
        line = arguments(data, biased, f"killed{kills}", "--iters", 60, "--snapshot", 10)
        command = [*started, "--max-restarts", "2", str(ROOT / "solve.py"), *line]
        with subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE, text=True) as process:
            try:
                for kill in range(kills):
                    while max(run.snapshots(STATES), default=0) < 10 * (kill + 1):
                        time.sleep(0.02)
                    ranks = ranks_of(process.pid, 2)
                    os.kill(ranks[1 - kill], signal.SIGKILL)
                _, said = process.communicate()
            finally:
                process.kill()
        assert process.returncode == 0, said[-3000:]
        assert said.count("continuing from iteration") == kills
        ends[kills] = weights(run, 60)
    assert all(np.array_equal(a, b) for a, b in zip(ends[0], ends[2]))


@pytest.mark.slow
def test_several_gpus_are_a_process_each_under_one_command(data: Path, biased: Path) -> None:
    """On the CPU instead; the command is what the run remembers, and a signal to it reaches all."""
    run = of(data, "runs")
    line = arguments(data, biased, "runs", "--iters", 100_000, "--snapshot", 3, "--gpu", "0,1")
    command = [sys.executable, str(ROOT / "solve.py"), *line]
    env = environment(CAFFE_FALLBACK="cpu")
    with subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True) as process:
        while not run.snapshots(STATES) and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
    assert process.returncode == 130, said[-3000:]
    assert "2 processes x iter_size 1 x batch 1: a step averages the gradients of 2 images" in said
    assert run.launches()[-1]["command"].endswith("--gpu 0,1")
    assert len(run.launches()) == 1


TORCHRUN = {
    "RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4", "MASTER_ADDR": "node0",
    "MASTER_PORT": "29500", "TORCHELASTIC_RESTART_COUNT": "1",
}  # fmt: skip


def test_a_process_knows_its_place_from_torchrun() -> None:
    assert World.of(TORCHRUN) == World(5, 8, 1, 4, b"tcp://node0:29500", 1)
    assert not World.of({}).launched
    assert World.of({**TORCHRUN, "MASTER_ADDR": "::1"}).uid == b"tcp://[::1]:29500"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RANK", "8"),
        ("WORLD_SIZE", "0"),
        ("LOCAL_RANK", "-1"),
        ("LOCAL_WORLD_SIZE", "1"),
        ("MASTER_PORT", ""),
    ],
)
def test_a_place_that_cannot_be_is_refused_by_its_variable(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=name):
        World.of({**TORCHRUN, name: value})


def test_each_process_of_a_computer_has_a_gpu_of_its_own() -> None:
    world = World.of(TORCHRUN)
    assert world.device(()) == 1 and world.device((4, 5, 6, 7)) == 5 and world.device(None) is None
    with pytest.raises(ValueError, match=r"--gpu 0,1: 4 processes run on this computer"):
        world.device((0, 1))


def test_gpus_that_are_not_named_well_are_refused(capsys) -> None:
    for text in ("0,0", "one", "0,", "-1"):
        with pytest.raises(SystemExit):
            solve.main(["--gpu", text])
        assert "--gpu" in capsys.readouterr().err
    assert solve.main(["--gpu", "all"]) == 1
    assert "torchrun" in capsys.readouterr().err


def test_the_effective_batch_is_said_and_that_it_changed(caplog: pytest.LogCaptureFixture) -> None:
    layer = PythonData(module="voc_layers", layer="VOCSegDataLayer", params={"batch": 2})
    row = solvers.recipe("voc-fcn32s", "accum").changed(iter_size=5)
    job = Job("voc-fcn32s", row, {"train": layer}, ("a", "b"))
    assert images_a_step(job, 4) == 40
    with caplog.at_level("INFO", "fcn"):
        announce_batch(job, 1, {"images_a_step": 10})
        assert not caplog.records
        announce_batch(job, 4, {"images_a_step": 10})
    said, means, changed = (record.getMessage() for record in caplog.records)
    assert "4 processes x iter_size 5 x batch 2" in said and "40 images" in said
    assert f"--iters {row.max_iter // 4}" in means
    assert caplog.records[-1].levelname == "WARNING" and "10 images before, now of 40" in changed
