"""What commands write, on disks that fail and in processes that are killed, at every call in turn.

A command that cannot write ends with a status that says so and with one message, which names the file. What
an earlier call left is there, or what this one makes, and no half of either; the same command once more, on
a disk that works, makes all of it and leaves nothing beside it.
"""

from __future__ import annotations

import math
import os
import re
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

import torch

from fcn.lock import NAME as LOCK

from .commands import OUT, Command, commands, prepare, served
from .faults import KINDS, Faults, tried
from .trainings import ended, forked

#: kind -> whether all calls after the one that fails do so too.
WAYS = (("full", True), ("full", False), ("damaged", False), ("read-only", True), ("killed", False))
#: Says that a drawn data set is whole; it is away while its files are replaced.
STAMP = f"{OUT}/drawn.json"
#: Where an import puts the earlier folder meanwhile.
BEFORE = f".{OUT}.before/"
#: What names the moment: it may differ in what is otherwise the same.
_MOMENT = re.compile(rb"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?([+-]\d\d:\d\d|Z)?")

#: The files of a folder, by name.
Tree = dict[str, bytes]


def check(most: int) -> list[str]:
    """Let each call of all commands fail, or `most` of each, evenly spread; what went wrong."""
    return tried(__name__, str(most))


def trials(most: int, only: str) -> int:
    """Carry out each command again and again, or those that have `only` in their names."""
    torch.set_num_threads(1)  # commands are forked from here
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        inputs = Path(folder, "inputs")
        inputs.mkdir()
        prepare(inputs)
        with served(inputs) as mirror:
            for command in commands(inputs, mirror):
                if only in command.name:
                    bad += _tried(Trial(command, Path(folder), Faults()), most)
    return int(bad > 0)


def _tried(trial: Trial, most: int) -> int:
    """Fail calls of one command; how often something was wrong."""
    calls = trial.calls()
    numbers = range(1, calls + 1, math.ceil(calls / most))
    cases = [(kind, lasts, number) for kind, lasts in WAYS for number in numbers]
    found = {case: trial.wrong(*case) for case in cases}
    problems = [
        f"{kind} at call {number}{' and from then on' if lasts else ''}: {'; '.join(what)}"
        for (kind, lasts, number), what in found.items()
        if what
    ]
    print(
        f"outputs, {trial.command.name}: {len(cases)} times at {len(numbers)} of "
        f"{calls} calls; as promised in {len(cases) - len(problems)}",
        *problems[:20],
        sep="\n  ",
        flush=True,
    )
    return len(problems)


class Trial:
    """One command, in a folder that has its earlier result each time."""

    def __init__(self, command: Command, work: Path, faults: Faults) -> None:
        self.command, self.work, self.faults = command, work, faults
        self.folder, self.said = work / "tried", work / "said.txt"
        self._earlier, self._whole = work / "earlier", work / "whole"
        for folder in (self._earlier, self._whole, self.folder):
            shutil.rmtree(folder, ignore_errors=True)
        self._require(command.before, self._earlier)
        shutil.copytree(self._earlier, self._whole)
        self._require(command.then, self._whole)
        self.earlier, self.whole = tree(self._earlier), tree(self._whole)

    def _require(self, work: Callable[[], int], folder: Path) -> None:
        (folder / OUT).mkdir(parents=True, exist_ok=True)
        if self._carried_out(work, folder):
            raise RuntimeError(f"{self.command.name} fails by itself: {self.said.read_text()}")

    def _carried_out(
        self, work: Callable[[], int], folder: Path, arm: Callable[[], None] | None = None
    ) -> int:
        """The exit status; what was said is in `said`."""
        self.said.unlink(missing_ok=True)

        def carry_out() -> int:
            os.chdir(folder)
            if arm:
                arm()
            try:
                return work()
            except SystemExit as stop:
                return stop.code if isinstance(stop.code, int) else 1
            except BaseException:  # noqa: BLE001  what a user would see
                traceback.print_exc()
                return 1

        return ended(forked(carry_out, self.work))

    def calls(self) -> int:
        """How many calls write the result."""
        self._anew()
        noted = self.work / "calls.txt"

        def counted() -> int:
            status = self.command.then()
            noted.write_text(str(self.faults.calls()))
            return status

        self._carried_out(counted, self.folder, lambda: self.faults.arm(self.folder, 0, "full", False))
        return int(noted.read_text())

    def wrong(self, kind: str, lasts: bool, number: int) -> list[str]:
        """What is not as promised where call `number` fails."""
        self._anew()
        arm = lambda: self.faults.arm(self.folder, number, kind, lasts)  # noqa: E731
        status = self._carried_out(self.command.then, self.folder, arm)
        said = self.said.read_text() if self.said.exists() else ""
        left = tree(self.folder)
        found = self._lost(left)
        if kind == "killed":
            found += [] if status == -9 else [f"status {status}"]
        elif status:
            found += _told(said, os.strerror(KINDS[kind]))
        elif not self.whole.items() <= left.items() and not said.count(os.strerror(KINDS[kind])):
            found += ["status 0 without a word, and something is missing"]
        _age(self.folder)
        if again := self._carried_out(self.command.then, self.folder):
            found += [f"once more, status {again}: {self.said.read_text()[-300:]}"]
        elif (after := tree(self.folder)) != self.whole:
            found += [f"once more, not the same: {_different(after, self.whole)}"]
        return found

    def _anew(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(self._earlier, self.folder)

    def _lost(self, left: Tree) -> list[str]:
        """Files that are neither those of before nor those to come.

        An import that ends between the two renames that replace a folder leaves the earlier one beside it.
        """
        kept = {name.replace(BEFORE, f"{OUT}/", 1) for name in left if name.startswith(BEFORE)}
        lost = [name for name in self.earlier if name not in {*left, *kept} and name != STAMP]
        half = [
            name
            for name, content in left.items()
            if not _aside(name) and content not in (self.earlier.get(name), self.whole.get(name))
        ]
        found = {"lost": lost, "half": half}
        return [f"{what}: {', '.join(names[:5])}" for what, names in found.items() if names]


def tree(folder: Path) -> Tree:
    """What lies in a folder, without what says when it was made."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): _MOMENT.sub(b"", path.read_bytes()) for path in found}


def _age(folder: Path) -> None:
    """Make what a killed process left as old as it has to be to belong to nobody."""
    for path in (*folder.rglob(".*.tmp"), *folder.rglob(LOCK)):
        os.utime(path, (0, 0))


def _aside(name: str) -> bool:
    """Whether a file is one on its way, which no reader takes for a result."""
    ends = (".part", ".part.from", ".tar", LOCK)  # an archive stays until it is unpacked
    return any(part.startswith(".") or part.endswith(ends) for part in name.split("/"))


def _told(said: str, reason: str) -> list[str]:
    """What is wrong with what was said of a failure."""
    lines = [line for line in said.splitlines() if reason in line]
    found = ["a traceback"] if "Traceback" in said else []
    if len(lines) != 1:
        found += [f"{len(lines)} messages: {said[-300:]!r}"]
    elif OUT not in lines[0]:
        found += [f"names no file: {lines[0]}"]
    return found


def _different(one: Tree, other: Tree) -> str:
    names = sorted(name for name in {*one, *other} if one.get(name) != other.get(name))
    return ", ".join(names[:5])


if __name__ == "__main__":
    sys.exit(trials(int(sys.argv[1]), "".join(sys.argv[2:])))
