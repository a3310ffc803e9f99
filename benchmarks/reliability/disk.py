"""A disk that fails at every call of a snapshot in turn: the snapshot before has to load, and to lead on.

The calls of the C library are made to fail (`faults.c`), below the folder of the snapshots alone: as on a
disk that is full, damaged, read-only or slow. Needs a C compiler and Linux; without them it says so.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

import solve
from fcn.train.keeping.snapshots import Snapshots

from .trainings import INTERVAL, Training, differences, ended, forked

#: What a disk says, by what is wrong with it; slow: nothing, after a while.
KINDS = {"full": errno.ENOSPC, "damaged": errno.EIO, "read-only": errno.EROFS, "slow": -1}
_LIBRARY = "FCN_FAULTS"


def check(every: int) -> list[str]:
    """Let each call fail, or each `every`-th; what went wrong. Starts this program anew with the library."""
    compiler = shutil.which("cc")
    if compiler is None or not sys.platform.startswith("linux"):
        print("disk: not tried: needs a C compiler and Linux")
        return []
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder, "faults.so")
        source = Path(__file__).with_name("faults.c")
        subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
        env = {**os.environ, "LD_PRELOAD": str(library), _LIBRARY: str(library)}
        program = [sys.executable, "-m", "benchmarks.reliability.disk", str(every)]
        sys.stdout.flush()
        done = subprocess.run(program, env=env, check=False)
    return [] if done.returncode == 0 else ["a disk that fails"]


class Faults:
    """What the library shall do, in this process and those forked from it."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(os.environ[_LIBRARY])

    def arm(self, folder: Path, number: int, kind: str, lasts: bool) -> None:
        """From now on call `number` below `folder` fails, and where it `lasts` each after it. 0: none."""
        path = str(folder.resolve()).encode()
        self._library.fault_set(path, ctypes.c_long(number), KINDS[kind], int(lasts))

    def calls(self) -> int:
        """How many there were since."""
        self._library.fault_calls.restype = ctypes.c_long
        return int(self._library.fault_calls())


def trials(every: int) -> int:
    """Make a run with one snapshot, and then the second one again and again on a disk that fails."""
    torch.set_num_threads(1)  # trainings are forked from here
    faults, steps, bad = Faults(), 2 * INTERVAL, 0
    with tempfile.TemporaryDirectory() as folder:
        training = Training(Path(folder))
        training.finish("whole", steps)
        training.finish("first", INTERVAL)
        count = _calls(training, faults)
        for kind in KINDS:
            cases = [(number, lasts) for number in range(1, count + 1, every) for lasts in (True, False)]
            if kind == "slow":  # which fails nothing: all of it is slow at once
                cases = [(1, True)]
            wrong = {case: _trial(training, faults, kind, *case) for case in cases}
            problems = [
                f"call {number}, {'from then on' if lasts else 'once'}: {', '.join(what)}"
                for (number, lasts), what in wrong.items()
                if what
            ]
            print(
                f"disk, {kind}: {len(cases)} snapshots, of whose {count} calls {len({n for n, _ in cases})} "
                f"failed in turn, once and from then on; the set before led on, bit for bit, in "
                f"{len(cases) - len(problems)}",
                *problems[:20],
                sep="\n  ",
                flush=True,
            )
            bad += len(problems)
    return int(bad > 0)


def _resumed(
    training: Training, faults: Faults, number: int, kind: str, lasts: bool, count: bool = False
) -> int:
    """A training that goes on from a copy of the first snapshot; its exit status, or the number of calls."""
    folder = training.work / "tried"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(training.work / "first", folder)
    words = training.words("tried", 2 * INTERVAL, "--resume", "auto", "--disk-wait", "0")

    def work() -> int:
        faults.arm(training.run("tried").prefix.parent, number, kind, lasts)
        status = solve.main(words)
        return min(faults.calls(), 250) if count else status

    return ended(forked(work, training.work))


def _calls(training: Training, faults: Faults) -> int:
    """How many calls write a snapshot."""
    return _resumed(training, faults, 0, "full", False, count=True)


def _trial(training: Training, faults: Faults, kind: str, number: int, lasts: bool) -> list[str]:
    """One snapshot on a disk that fails; what is wrong afterwards, on a disk that works."""
    status, steps = _resumed(training, faults, number, kind, lasts), 2 * INTERVAL
    if status not in (0, 1):
        return [f"the training ended with status {status}"]
    run = training.run("tried")
    newest = Snapshots(run).newest()
    if newest is None:
        return ["no snapshot loads"]
    if status == 0 and str(steps) not in newest.name:
        return ["the training ended well without its snapshot"]
    if training.finish("tried", steps, "--resume", "auto"):
        return [f"{newest.name} does not lead on"]
    found = differences(run, training.run("whole"), steps)
    return [what for what in found if what != "curve"]  # a run of two parts has a row where the first ended


if __name__ == "__main__":
    sys.exit(trials(int(sys.argv[1])))
