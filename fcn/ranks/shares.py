"""Items shared between the processes that a launcher has started: the results at the first, in order.

Each process does every n-th item at its own pace, and sends what it makes of it to the first one. Results
travel as pickles of numbers, arrays and dataclasses of `fcn`; what names anything else is refused.
"""

from __future__ import annotations

import dataclasses
import io
import pickle
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from ..sharding import FAILURES, Item, Ledger, Opened, Result, serve
from .team import Team

#: What a process says instead of a number: it has failed; it has come to the end of its list.
FAILED, ENDED = -1, -2
#: What arrays and paths are made of in a pickle.
_PLAIN = frozenset({"ndarray", "dtype", "_reconstruct", "_frombuffer", "scalar", "PosixPath", "WindowsPath"})


def contribute(team: Team, opened: Opened[Item, Result], items: Sequence[Item]) -> None:
    """Do this process's part of the items, for all but the first process; that one tells of a failure."""

    def send(number: int, result: Result | None, problem: str) -> None:
        team.send(pickle.dumps((number, str(items[number]) if number >= 0 else len(items), result, problem)))

    serve(opened, {number: items[number] for number in range(team.world.rank, len(items), team.count)}, send)
    send(ENDED, None, "")


def collected(team: Team, opened: Opened[Item, Result], items: Sequence[Item]) -> Iterator[Result]:
    """Do the first process's part of the items; the results of all processes, in order.

    Raises:
        ShardError: at the end, where a process failed, was lost or has another list of items, or where this
            one is asked to end (SIGTERM: torchrun does so where another one has failed). Which items have no
            result.
    """
    ledger = Ledger(items, team.count)
    with _Ending.awaited() as ending:
        try:
            yield from _own(ledger, team, opened, ending)
            while waiting := [rank for rank, left in enumerate(ledger.left) if left]:
                with ending.at_once():
                    messages = team.received(waiting)
                _take(ledger, messages)
                yield from ledger.ready()
        except RuntimeError as error:  # another process is lost, or this one has to end
            ledger.abandon(getattr(error, "what", str(error)))
            yield from ledger.ready()
    ledger.close()


def _own(ledger: Ledger[Item], team: Team, opened: Opened[Item, Result], ending: _Ending) -> Iterator[Result]:
    """The first process's part, and what the others send meanwhile."""
    try:
        with opened() as worker:
            for number in tuple(ledger.left[0]):
                ending.check()
                ledger.put(0, number, worker(ledger.items[number]))
                _take(ledger, team.received())
                yield from ledger.ready()
    except _Asked:
        raise
    except FAILURES as error:
        ledger.give_up(0, f"rank 0 of {team.count}: {str(error) or type(error).__name__}")


def _take(ledger: Ledger[Item], messages: Sequence[tuple[int, bytes]]) -> None:
    """Enter what the other processes have sent."""
    for rank, message in messages:
        number, item, result, problem = _Letter(io.BytesIO(message)).load()
        left = ledger.left[rank]
        if number == FAILED:
            ledger.give_up(rank, f"rank {rank} of {len(ledger.left)}: {problem}")
        elif number == ENDED:
            if item != len(ledger.items) or left:
                ledger.give_up(
                    rank, f"rank {rank} has a list of {item}, and rank 0 one of {len(ledger.items)}"
                )
        elif number in left and item == str(ledger.items[number]):
            ledger.put(rank, number, result)
        elif left:
            ledger.give_up(rank, f"rank {rank} has another list: {item} is number {number} of it")


class _Letter(pickle.Unpickler):
    """What another process sends. The meeting point asks nobody who he is: no letter may run code."""

    def find_class(self, module: str, name: str) -> object:
        package = module.partition(".")[0]
        if package in ("numpy", "pathlib") and name in _PLAIN:
            return super().find_class(module, name)
        found = super().find_class(module, name) if package == __package__.partition(".")[0] else None
        if isinstance(found, type) and dataclasses.is_dataclass(found):
            return found
        raise RuntimeError(f"a rank sent {module}.{name}, which is no result")


class _Asked(RuntimeError):
    """This process has to end."""

    def __init__(self) -> None:
        super().__init__("rank 0 has to end (SIGTERM; torchrun sends it where another process has failed)")


class _Ending:
    """Whether SIGTERM has come: what is missing is to be told then."""

    def __init__(self) -> None:
        self._asked = self._at_once = False

    @classmethod
    @contextmanager
    def awaited(cls) -> Iterator[_Ending]:
        """SIGTERM is heard inside; in the main thread alone signals can be."""
        ending = cls()
        main = threading.current_thread() is threading.main_thread()
        before = signal.signal(signal.SIGTERM, ending._hear) if main else None
        try:
            yield ending
        finally:
            if main:
                signal.signal(signal.SIGTERM, before)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """SIGTERM ends what is inside."""
        self._at_once = True
        try:
            self.check()
            yield
        finally:
            self._at_once = False

    def check(self) -> None:
        """Raise _Asked where SIGTERM has come."""
        if self._asked:
            raise _Asked

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self._asked = True
        if self._at_once:
            raise _Asked
