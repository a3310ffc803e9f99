"""``caffe train``: what the solver and the flags say, signals, several devices."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import caffe
from caffe.__main__ import main
from caffe.proto import caffe_pb2
from tests.engine.support import cli_case

#: A solver that a test can wait for: it says every iteration, and would go on for days.
ENDLESS = """
net: "net.prototxt" base_lr: 0.01 momentum: 0.9 lr_policy: "fixed" display: 1 max_iter: 100000000
snapshot_prefix: "snap" random_seed: 1 weights: "init.caffemodel"
"""
SNAPSHOT = r"Snapshotting solver state to binary proto file (snap_iter_(\d+)\.solverstate)"
NO_GPU = {"CUDA_VISIBLE_DEVICES": ""}


@pytest.fixture(autouse=True)
def files(in_tmp: Path) -> None:
    """The network, data and weights of a recorded training; solvers are the tests' own."""
    cli_case.bring("train_finetune")
    Path("solver.prototxt").write_text(ENDLESS)


def finite(iterations: int) -> None:
    Path("solver.prototxt").write_text(ENDLESS.replace("100000000", str(iterations)))


@contextmanager
def training(*argv: str) -> Iterator[subprocess.Popen[str]]:
    """`caffe train` as a process; killed if the test leaves it running."""
    command = [sys.executable, "-m", "caffe", "train", "-solver", "solver.prototxt", *argv]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(process: subprocess.Popen[str], pattern: str) -> re.Match[str]:
    for line in process.stderr:
        if found := re.search(pattern, line):
            return found
    raise AssertionError(f"the log ended without {pattern!r}")


def params(path: str) -> dict[str, list[np.ndarray]]:
    net = caffe.Net("net.prototxt", caffe.TEST, weights=path)
    return {name: [blob.data.copy() for blob in blobs] for name, blobs in net.params.items()}


def state(path: str) -> caffe_pb2.SolverState:
    return caffe_pb2.SolverState.FromString(Path(path).read_bytes())


def trained(iterations: int, batch: int = 4) -> dict[str, list[np.ndarray]]:
    """What the Python interface trains, uninterrupted."""
    Path("whole.prototxt").write_text(
        Path("net.prototxt").read_text().replace("batch_size: 4", f"batch_size: {batch}")
    )
    Path("whole_solver.prototxt").write_text(ENDLESS.replace("net.prototxt", "whole.prototxt"))
    solver = caffe.get_solver("whole_solver.prototxt")
    solver.step(iterations)
    return {name: [blob.data.copy() for blob in blobs] for name, blobs in solver.net.params.items()}


def assert_same(got: dict[str, list[np.ndarray]], want: dict[str, list[np.ndarray]], rtol: float = 0) -> None:
    assert got.keys() == want.keys()
    for name, blobs in want.items():
        for ours, theirs in zip(got[name], blobs):
            np.testing.assert_allclose(ours, theirs, rtol, rtol, err_msg=name)


def test_sighup_snapshots_sigint_stops_and_the_training_resumes():
    with training() as process:
        wait_for(process, r"Iteration 3 ")
        process.send_signal(signal.SIGHUP)
        first = wait_for(process, SNAPSHOT)
        wait_for(process, rf"Iteration {int(first[2]) + 1} ")
        process.send_signal(signal.SIGINT)
        last = wait_for(process, SNAPSHOT)
        rest = process.stderr.read()
        assert process.wait() == 0
    assert [line.split("] ")[1] for line in rest.splitlines()] == [
        "Optimization stopped early.",
        "Optimization Done.",
    ]
    assert (state(first[1]).iter, state(last[1]).iter) == (int(first[2]), int(last[2]))
    assert int(last[2]) > int(first[2])

    end = int(last[2]) + 2
    finite(end)
    assert main(["train", "-solver", "solver.prototxt", "-snapshot", first[1]]) == 0
    assert_same(params(f"snap_iter_{end}.caffemodel"), trained(end))


def test_signals_do_what_the_flags_say():
    with training("-sigint_effect", "none", "-sighup_effect=stop") as process:
        wait_for(process, r"Iteration 2 ")
        process.send_signal(signal.SIGINT)
        wait_for(process, r"Iteration \d+ ")
        process.send_signal(signal.SIGHUP)
        wait_for(process, r"Optimization stopped early")
        assert process.wait() == 0


def test_an_effect_that_there_is_not(capsys):
    assert main(["train", "-solver", "solver.prototxt", "-sigint_effect", "explode"]) == 134
    assert "-sigint_effect explode: it is snapshot, stop, none" in capsys.readouterr().err


def test_handlers_are_put_back():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGHUP)
    finite(1)
    assert main(["train", "-solver", "solver.prototxt"]) == 0
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGHUP)) == before


def test_weights_on_the_line_replace_the_solver_s_and_may_be_several(capsys):
    finite(0)
    other = caffe.Net("net.prototxt", caffe.TEST, weights="init.caffemodel")
    other.params["ip2"][0].data[...] = 7
    other.save("full.caffemodel")
    only = caffe_pb2.NetParameter.FromString(Path("full.caffemodel").read_bytes())
    kept = [layer for layer in only.layer if layer.name == "ip2"]
    del only.layer[:]
    only.layer.extend(kept)
    Path("ip2.caffemodel").write_bytes(only.SerializeToString())

    assert main(["train", "-solver", "solver.prototxt", "-weights", "init.caffemodel, ip2.caffemodel"]) == 0
    got, init = params("snap_iter_0.caffemodel"), params("init.caffemodel")
    assert (got["ip2"][0] == 7).all()
    np.testing.assert_array_equal(got["ip1"][0], init["ip1"][0])
    log = capsys.readouterr().err
    assert "Finetuning from init.caffemodel" in log and "Finetuning from ip2.caffemodel" in log


def test_level_and_stage_are_the_train_net_s():
    layer = (
        'layer {{ name: "{0}" type: "DummyData" top: "{0}" dummy_data_param {{ shape {{ dim: 1 }} }} {1} }}\n'
    )
    staged, unstaged = "include { stage: 'x' min_level: 3 }", "include { stage: '' }"
    rules = {"always": "", "staged": staged, "unstaged": unstaged}
    Path("net.prototxt").write_text("".join(layer.format(*rule) for rule in rules.items()))
    finite(0)
    for argv, layers in (
        ([], ["always", "unstaged"]),
        (["-stage", "x,y", "-level=3"], ["always", "staged"]),
        (["-stage", "x"], ["always"]),
    ):
        assert main(["train", "-solver", "solver.prototxt", "-weights", "init.caffemodel", *argv]) == 0
        saved = caffe_pb2.NetParameter.FromString(Path("snap_iter_0.caffemodel").read_bytes())
        assert [layer.name for layer in saved.layer] == layers


def test_the_solver_s_own_mode_chooses_the_device():
    finite(1)
    with open("solver.prototxt", "a") as file:
        file.write("solver_mode: GPU device_id: 1")
    command = [sys.executable, "-m", "caffe", "train", "-solver", "solver.prototxt"]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **NO_GPU})
    assert "Using GPUs 1" in done.stderr
    assert done.returncode == 134 or "Apple" in done.stderr


def train_on_two(**env: str) -> subprocess.CompletedProcess[str]:
    """Two processes, each on the CPU instead of its GPU."""
    command = [sys.executable, "-m", "caffe", "train", "-solver", "solver.prototxt", "-gpu", "0,1"]
    env = {**os.environ, **NO_GPU, "CAFFE_FALLBACK": "cpu", "OMP_NUM_THREADS": "1", **env}
    return subprocess.run(command, stderr=subprocess.PIPE, text=True, env=env)


def test_two_processes_train_what_one_trains_on_twice_the_batch():
    """Solver r takes the rows whose number is r modulo 2; their gradients are averaged."""
    finite(10)
    done = train_on_two()
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Using GPUs 0, 1" in done.stderr
    assert done.stderr.count("Iteration 9 (") == 1  # solver 0 alone reports
    assert_same(params("snap_iter_10.caffemodel"), trained(10, batch=8), rtol=1e-5)
    assert state("snap_iter_10.solverstate").iter == 10


def test_a_failing_process_ends_the_others():
    """The first must not wait for the gradients of the second for ever."""
    Path("second.py").write_text(
        "import caffe\n"
        "class Second(caffe.Layer):\n"
        "    def forward(self, bottom, top):\n"
        "        if caffe.solver_rank() == 1: raise RuntimeError('no more data')\n"
    )
    with open("net.prototxt", "a") as file:
        file.write('layer { name: "s" type: "Python" python_param { module: "second" layer: "Second" } }')
    finite(5)
    done = train_on_two(PYTHONPATH=".")
    assert done.returncode == 134
    assert "no more data" in done.stderr
    # Whichever is noticed first: the lost connection, or the end of the process.
    noticed = r"^F.*(solver 0 lost the other solvers|the process of solver 1 failed)"
    assert re.search(noticed, done.stderr, re.MULTILINE)


def test_the_precision_is_the_flags():
    finite(2)
    assert main(["train", "-solver", "solver.prototxt", "-precision", "half"]) != 0
    found = []
    for precision in ("bfloat16", "float32"):
        assert main(["train", "-solver", "solver.prototxt", "-precision", precision]) == 0
        found.append(params("snap_iter_2.caffemodel"))
    rounded, plain = found
    assert any(not np.array_equal(a, b) for name in plain for a, b in zip(plain[name], rounded[name]))


def test_checkpointing_trains_the_same():
    finite(3)
    found = []
    for flag in ("-checkpointing", "-nocheckpointing"):
        assert main(["train", "-solver", "solver.prototxt", flag]) == 0
        found.append(params("snap_iter_3.caffemodel"))
    assert_same(*found)


def test_a_process_that_is_killed_ends_the_others_and_is_named():
    """SIGKILL leaves no message of its own."""
    command = [sys.executable, "-m", "caffe", "train", "-solver", "solver.prototxt", "-gpu", "0,1"]
    env = {**os.environ, **NO_GPU, "CAFFE_FALLBACK": "cpu", "OMP_NUM_THREADS": "1", "CAFFE_RANK_TIMEOUT": "5"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=env) as process:
        try:
            wait_for(process, r"Iteration 3 ")
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            (solver,) = [c for c in children if b"spawn_main" in Path(f"/proc/{c}/cmdline").read_bytes()]
            os.kill(int(solver), signal.SIGKILL)
            said = process.stderr.read()
        finally:
            process.kill()
    assert f"rank 1 (process {solver} on" in said, said[-2000:]
    assert process.returncode != 0
