"""SIGKILL to one of several processes that train together: torchrun starts them anew, and they end alike."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from fcn.runs import Run

from .trainings import Training, differences

ROOT = Path(__file__).resolve().parents[2]
#: How long the processes are let be, at most, after their first snapshot: seconds.
LONGEST = 2.0
#: Lines that are shown of what the processes said, where they fail.
SHOWN = 40


def check(ranks: int, kills: int, seed: int) -> list[str]:
    """Kill one of so many processes again and again; what went wrong."""
    drawn, steps = random.Random(seed), 12 * kills
    with tempfile.TemporaryDirectory() as folder:
        training = Training(Path(folder))
        run, whole = training.run("killed"), training.run("whole")
        problems = []
        if _launched(training, "whole", steps, ranks, 0).wait():
            problems.append("the training that nothing stopped failed")
        process = _launched(training, "killed", steps, ranks, kills)
        done = _kill(process, run, ranks, kills, drawn)
        status = process.wait()
        problems += _failed(training, status) if status else differences(run, whole, steps)
        problems += [] if done else ["the training ended before anything was killed"]
        alike = "\n  ".join(problems) or "weights, momentum, generators and losses equal, bit for bit"
        print(f"ranks: {done} kills of one of {ranks}; {len(run.launches())} starts; {steps} steps: {alike}")
    return problems


def _failed(training: Training, status: int) -> list[str]:
    """That torchrun failed, and the end of what the processes said."""
    said = (training.work / "said.txt").read_text(errors="replace").splitlines()
    return [f"torchrun ended with status {status}", *said[-SHOWN:]]


def _launched(
    training: Training, runs: str, steps: int, ranks: int, restarts: int
) -> subprocess.Popen[bytes]:
    """torchrun with a training under way."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)]
    command = [sys.executable, *launcher, "--max-restarts", str(restarts), str(ROOT / "solve.py")]
    with open(training.work / "said.txt", "ab") as said:
        return subprocess.Popen(
            [*command, *training.words(runs, steps)],
            cwd=training.work,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=said,
            stderr=said,
        )


def _kill(process: subprocess.Popen[bytes], run: Run, ranks: int, kills: int, drawn: random.Random) -> int:
    """Kill one of the processes again and again; how often before the end.

    Every fourth time while they start, else in a step: at a random moment after their first snapshot.
    """
    killed, before = 0, set[int]()
    while killed < kills and process.poll() is None:
        there = _ranks_of(process.pid)
        if len(there) < ranks or before & {*there}:
            time.sleep(0.05)
            continue
        newest = max(run.snapshots(), default=0)
        while killed % 4 and process.poll() is None and max(run.snapshots(), default=0) <= newest:
            time.sleep(0.05)
        time.sleep(drawn.uniform(0, LONGEST))
        victim = drawn.choice(there)
        if victim in _ranks_of(process.pid):
            os.kill(victim, signal.SIGKILL)
            killed, before = killed + 1, {*there}
    return killed


def _ranks_of(launcher: int) -> list[int]:
    """The processes that torchrun has started."""
    try:
        children = Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()
        return [int(child) for child in children if b"\0RANK=" in Path(f"/proc/{child}/environ").read_bytes()]
    except OSError:  # one of them has just ended
        return []
