"""SIGKILL again and again: a training that is resumed each time has to end like one that nothing stopped."""

from __future__ import annotations

import os
import random
import signal
import tempfile
import time
from pathlib import Path

from fcn.runs import Run

from .trainings import Training, differences

#: Each kill takes place within so many seconds after the training began, or in the next snapshot.
LONGEST = 0.4
#: Of the training, for each kill: more than it comes on between two of them, so that all find it at work.
STEPS = 5


def check(kills: int, seed: int) -> list[str]:
    """Kill a training so many times, every third time while a snapshot is written; what went wrong."""
    drawn, steps = random.Random(seed), STEPS * kills
    with tempfile.TemporaryDirectory() as folder:
        training = Training(Path(folder))
        run, whole = training.run("killed"), training.run("whole")
        problems = ["the training that nothing stopped failed"] if training.finish("whole", steps) else []
        inside = at_work = 0
        for number in range(kills):
            process = training.start("killed", steps, *(["--resume", "auto"] if number else []))
            alive, hit = _kill(process, run, number % 3 == 2, drawn.uniform(0, LONGEST))
            inside += hit
            at_work += alive
        status = training.finish("killed", steps, "--resume", "auto")
        problems += (
            [f"the last resumption ended with status {status}"] if status else differences(run, whole, steps)
        )
        problems += [f"{path} was left" for path in run.path.rglob("*.tmp")]
        alike = "; ".join(problems) or "weights, momentum, generators and losses equal, bit for bit"
        print(
            f"kills: {kills}, {at_work} of trainings at work, {inside} while a file of a snapshot "
            f"was written; {steps} steps: {alike}"
        )
    return problems


def _kill(process: int, run: Run, in_snapshot: bool, delay: float) -> tuple[bool, bool]:
    """Kill a training once it has begun; whether it was alive then, and whether it was writing a snapshot."""
    began = run.log.stat().st_size if run.log.exists() else 0
    while not (over := _over(process)) and not (run.log.exists() and run.log.stat().st_size > began):
        time.sleep(0.005)
    if not in_snapshot:
        time.sleep(delay)
    while in_snapshot and not (over := _over(process)) and not _half(run):
        pass
    over = over or _over(process)
    if not over:
        os.kill(process, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        over = status != -signal.SIGKILL
    return not over, _half(run)


def _over(process: int) -> bool:
    """Whether it has ended by itself; its status is still to be fetched then."""
    return os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _half(run: Run) -> bool:
    return any(run.prefix.parent.glob(".*.tmp"))
