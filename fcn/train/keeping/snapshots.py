"""The snapshots of a run: complete sets of files, and the index that names them.

A set is what Caffe writes (weights, solver state, and our engine's `.resume`) and `train_iter_N.loop.json`:
what the training loop knows and Caffe does not. It counts from the moment that `index.json` names it, which
is after all of it has been read back and is on the disk: all of a set, or none.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voc_layers.whole import read_whole

from ...outputs import flush, replace_text
from ...runs import STATES, WEIGHTS, Run
from ...weights import caffemodel
from ...weights.solverstate import SolverState

log = logging.getLogger("fcn")

INDEX = "index.json"
#: Of the index.
VERSION = 1
#: Bytes read at a time, to be checked.
CHUNK = 1 << 22

#: What numbers without bounds and lists in lists without end lead to.
_STRANGE = (ArithmeticError, RecursionError)

#: Size and digest of a file.
Facts = dict[str, Any]


@dataclass(frozen=True)
class Snapshots:
    """The sets of a run, in the order in which they were completed."""

    run: Run

    @property
    def folder(self) -> Path:
        return self.run.prefix.parent

    @property
    def index(self) -> Path:
        return self.folder / INDEX

    def complete(self) -> dict[int, dict[str, Facts]]:
        """iteration -> name of each file -> its facts, the one completed last at the end.

        An index that is damaged names none, and a warning says so.
        """
        try:
            found = json.loads(read_whole(self.index))
            sets = {int(row["iteration"]): dict(row["files"]) for row in found["sets"]}
            named = (name for files in sets.values() for name in files)
            if found["version"] != VERSION or not all(map(_is_name, named)):
                raise ValueError("of another version, or with names that are none of files beside it")
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, LookupError, TypeError, AttributeError, *_STRANGE) as error:
            log.warning("%s is not read: %s", self.index, error)
            return {}
        return sets

    def files(self, iteration: int) -> list[Path]:
        """What lies there of the set of this iteration."""
        stem = re.escape(f"{self.run.prefix.name}_iter_{iteration}")
        named = re.compile(
            rf"{stem}\.(caffemodel|solverstate|caffemodel\.h5|solverstate\.h5|resume|loop\.json)"
        )
        return sorted(path for path in self.folder.iterdir() if named.fullmatch(path.name))

    def complete_with(self, iteration: int) -> None:
        """See that the set of `iteration` is whole and on the disk, then name it in the index.

        Raises:
            ValueError: it is not what it should be. OSError: it cannot be read or written.
        """
        state = self.run.snapshots(STATES).get(iteration)
        if state is None:
            raise ValueError(f"{self.folder}: the snapshot of iteration {iteration} has no solver state")
        _check_whole(state)
        facts = {path.name: _facts(path) for path in self.files(iteration)}
        for path in self.files(iteration):
            flush(path)
        flush(self.folder)
        before = {number: files for number, files in self.complete().items() if number != iteration}
        self._write({**before, iteration: facts})

    def check(self, iteration: int) -> None:
        """Raise ValueError where a file of a complete set is not the one that was written."""
        for name, facts in self.complete()[iteration].items():
            path = self.folder / name
            if not path.is_file():
                raise ValueError(f"{path}: a file of the snapshot is gone")
            if path.stat().st_size != facts["bytes"]:
                raise ValueError(f"{path}: expected {facts['bytes']} bytes, found {path.stat().st_size}")
            if _facts(path) != facts:
                raise ValueError(f"{path}: not the file that was written: other contents of the same size")

    def newest(self) -> Path | None:
        """The solver state of the last complete set; older ones, and sets of another program, if none is."""
        states = self.run.snapshots(STATES)
        complete = [number for number in self.complete() if number in states]
        others = [number for number in states if number not in complete]
        for number in [*reversed(complete), *reversed(others)]:
            try:
                if number in complete:
                    self.check(number)
                _check_whole(states[number])
            except (ValueError, OSError) as error:
                log.warning("%s is passed over: %s", states[number], error)
            else:
                return states[number]
        return None

    def checked(self, state: Path) -> Path:
        """A state that somebody chose; ValueError where it is of a set that is not whole."""
        numbers = [n for n, path in self.run.snapshots(STATES).items() if path.resolve() == state.resolve()]
        if numbers and numbers[0] in self.complete():
            self.check(numbers[0])
        _check_whole(state)
        return state

    def keep(self, last: int, besides: Iterable[int]) -> None:
        """Remove all sets but the `last` ones and those of the iterations `besides`; 0 keeps all."""
        sets = self.complete()
        stay = {*list(sets)[-last:], *besides}
        gone = [number for number in sets if number not in stay] if last else []
        if gone:
            self._write({number: files for number, files in sets.items() if number in stay})
        for path in (path for number in gone for path in self.files(number)):
            path.unlink(missing_ok=True)

    def rewind(self, iteration: int) -> None:
        """Take the sets beyond `iteration` off the index: a run that goes on from there takes them anew."""
        sets = self.complete()
        if any(number > iteration for number in sets):
            self._write({number: files for number, files in sets.items() if number <= iteration})

    def remove(self, iteration: int) -> None:
        """Remove what a failed try left of a set; a complete one stays."""
        if iteration not in self.complete():
            for path in self.files(iteration):
                path.unlink(missing_ok=True)

    def set_aside(self, iteration: int) -> list[Path]:
        """Rename the sets from `iteration` on to `*.nonfinite`: nothing shall resume from them."""
        sets = self.complete()
        if any(number >= iteration for number in sets):
            self._write({number: files for number, files in sets.items() if number < iteration})
        held = {*self.run.snapshots(WEIGHTS), *self.run.snapshots(STATES)}
        spoiled = (path for number in sorted(held) if number >= iteration for path in self.files(number))
        return [path.rename(path.with_name(path.name + ".nonfinite")) for path in spoiled]

    def _write(self, sets: dict[int, dict[str, Facts]]) -> None:
        rows = [{"iteration": number, "files": files} for number, files in sets.items()]
        replace_text(self.index, json.dumps({"version": VERSION, "sets": rows}, indent=1) + "\n")


def _is_name(name: str) -> bool:
    """Whether this names a file in the folder, and is no longer than file systems take."""
    return Path(name).name == name and len(os.fsencode(name)) <= 255  # NAME_MAX


def _check_whole(state: Path) -> None:
    """Raise ValueError where a solver state or its weights are cut off, or of another iteration."""
    found = SolverState.read(state)
    if f"_iter_{found.iteration}." not in state.name and "_iter_" in state.name:
        raise ValueError(f"{state}: is the state of iteration {found.iteration}: its name is another's")
    if not found.weights.is_file():
        raise ValueError(f"{state}: expected its weights {found.weights.name} beside it, found nothing")
    caffemodel.shapes(found.weights)


def _facts(path: Path) -> Facts:
    digest, size = hashlib.blake2b(digest_size=16), 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return {"bytes": size, "blake2b": digest.hexdigest()}
