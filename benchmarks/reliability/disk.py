"""A disk that fails at every call of a snapshot in turn: the snapshot before has to load, and to lead on.

The calls of the C library are made to fail (`faults`), below the folder of the snapshots alone.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch

import solve
from fcn.train.keeping.snapshots import Snapshots

from .faults import KINDS, Faults, tried
from .trainings import INTERVAL, Training, differences, ended, forked

#: A call's number, and whether all calls after it fail too.
Case = tuple[int, bool]


def check(every: int) -> list[str]:
    """Let each call fail, or each `every`-th; what went wrong."""
    return tried(__name__, str(every))


def trials(every: int, kinds: list[str]) -> int:
    """Make a run with one snapshot, and then the second one again and again on a disk that fails."""
    torch.set_num_threads(1)  # trainings are forked from here
    faults, steps, bad = Faults(), 2 * INTERVAL, 0
    with tempfile.TemporaryDirectory() as folder:
        training = Training(Path(folder))
        training.finish("whole", steps)
        training.finish("first", INTERVAL)
        count = _calls(training, faults)
        for kind in kinds:
            cases = list(_cases(kind, count, every))
            wrong = {case: _trial(training, faults, kind, *case) for case in cases}
            problems = [
                f"call {number}, {'from then on' if lasts else 'once'}: {', '.join(what)}"
                for (number, lasts), what in wrong.items()
                if what
            ]
            print(
                f"disk, {kind}: {len(cases)} snapshots at {len({number for number, _ in cases})} of {count} "
                f"calls; the set before led on, bit for bit, in {len(cases) - len(problems)}",
                *problems[:20],
                sep="\n  ",
                flush=True,
            )
            bad += len(problems)
    return int(bad > 0)


def _cases(kind: str, count: int, every: int) -> Iterator[Case]:
    """Each call once; from then on too, where that is another thing: for slow disks, all calls at once."""
    for number in range(1, count + 1, every):
        yield number, False
        if kind not in ("slow", "killed") or (kind == "slow" and number == 1):
            yield number, True


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
    if status not in {"slow": (0,), "killed": (-9,)}.get(kind, (0, 1)):
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
    sys.exit(trials(int(sys.argv[1]), sys.argv[2].split(",") if sys.argv[2:] else list(KINDS)))
