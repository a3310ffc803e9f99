"""Work on many items split over processes: results in the order of the items, and none lost in silence.

Each process makes its own worker once (it loads a net, say) and takes every n-th item. The processes are new
ones (`spawn`), since a net's threads do not survive a fork, and share the cores between them.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
#: Makes the worker of a process, which is open as long as the process works. Travels as a pickle.
Opened = Callable[[], AbstractContextManager[Callable[[Item], Result]]]

#: What OpenMP, and so PyTorch, reads when it starts.
THREADS = "OMP_NUM_THREADS"
#: Items that a message names; of more it gives the number.
NAMED = 20


class ShardError(RuntimeError):
    """Processes that did not do their part: `missing` are the items without a result, in order."""

    def __init__(self, reasons: Sequence[str], missing: Sequence[Any]) -> None:
        some = ", ".join(map(str, missing[:NAMED]))
        more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
        super().__init__(f"{'; '.join(reasons)}; not done: {some}{more}")
        self.missing = tuple(missing)


def sharded(
    opened: Opened[Item, Result] | Sequence[Opened[Item, Result]], items: Sequence[Item], jobs: int = 1
) -> Iterator[Result]:
    """`worker(item)` of every item, in order, done by `jobs` processes; by this one where that is 1.

    Args:
        opened: makes the worker; a sequence has one for each process, where they differ (in their GPU, say).
        items: travel as pickles, as the results do.

    Raises:
        ShardError: at the end, where a process failed or died: which items have no result. What a worker
            raises ends its process and counts so; in this process it is raised as it is.
    """
    makers = [opened] * max(1, min(jobs, len(items))) if callable(opened) else list(opened)[: len(items)]
    if len(makers) < 2:
        for maker in makers[: len(items)]:
            with maker() as worker:
                yield from map(worker, items)
        return
    crew = _Crew(items, {})
    try:
        crew.start(makers)
        yield from crew.results()
    finally:
        crew.end()
    if crew.reasons:
        raise ShardError(crew.reasons, [items[number] for number in sorted(crew.lost)])


@dataclass
class _Shard:
    """A process and what it has not done yet. number: from 1 on, of `count`."""

    process: BaseProcess
    left: list[int]
    number: int
    count: int

    def ending(self) -> str:
        """How the process ended, for a message."""
        self.process.join()
        code = self.process.exitcode or 0
        how = f"was ended by signal {-code}" if code < 0 else f"ended with status {code}"
        return f"process {self.number} of {self.count} {how}"


@dataclass
class _Crew(Generic[Item]):
    """The processes at work: pipe -> shard."""

    items: Sequence[Item]
    shards: dict[Connection, _Shard]
    reasons: list[str] = field(default_factory=list)
    lost: set[int] = field(default_factory=set)

    def start(self, makers: Sequence[Opened[Item, Any]]) -> None:
        context = multiprocessing.get_context("spawn")
        count = len(makers)
        with _environment({THREADS: str(max(1, _cores() // count))}), _deaf():
            for shard, maker in enumerate(makers):
                numbers = list(range(shard, len(self.items), count))
                ours, theirs = context.Pipe(duplex=False)
                work = {number: self.items[number] for number in numbers}
                process = context.Process(target=_serve, args=(maker, work, theirs), daemon=True)
                process.start()
                theirs.close()  # or the pipe would not end with the process
                self.shards[ours] = _Shard(process, numbers, shard + 1, count)

    def results(self) -> Iterator[Any]:
        """The results in order, those of lost items left out."""
        found: dict[int, Any] = {}
        following = 0
        while self.shards:
            ready = wait(list(self.shards))
            for pipe in [pipe for pipe in self.shards if pipe in ready]:
                found |= self._take(pipe)
            while following in found or following in self.lost:
                if following in found:
                    yield found.pop(following)
                following += 1

    def _take(self, pipe: Connection) -> dict[int, Any]:
        """What a process sent: a result, or nothing where it ended."""
        shard = self.shards[pipe]
        try:
            number, result, problem = pipe.recv()
        except (EOFError, OSError):
            del self.shards[pipe]
            pipe.close()
            if shard.left:
                self._give_up(shard, shard.ending())
            return {}
        if problem is not None:
            self._give_up(shard, f"process {shard.number} of {shard.count}: {problem}")
            return {}
        shard.left.remove(number)
        return {number: result}

    def _give_up(self, shard: _Shard, reason: str) -> None:
        self.reasons.append(reason)
        self.lost |= set(shard.left)
        shard.left.clear()

    def end(self) -> None:
        for pipe, shard in self.shards.items():
            shard.process.terminate()
            shard.process.join()
            pipe.close()


def _serve(maker: Opened[Item, Any], work: Mapping[int, Item], pipe: Connection) -> None:
    """A process: sends (number, result, None) for each item, or (-1, None, problem) and ends."""
    try:
        with maker() as worker:
            for number, item in work.items():
                pipe.send((number, worker(item), None))
    except (BrokenPipeError, ConnectionResetError):
        pass  # whoever started it is gone
    except (ValueError, RuntimeError, OSError, MemoryError) as error:
        pipe.send((-1, None, str(error) or type(error).__name__))


def _cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _deaf() -> Iterator[None]:
    """Processes that start inside ignore Ctrl-C from their first moment: who started them hears it."""
    if threading.current_thread() is not threading.main_thread():
        yield  # there signals can't be set
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Variables for the processes that start inside, unless the user has set them; as before afterwards."""
    new = {name: value for name, value in values.items() if name not in os.environ}
    os.environ.update(new)
    try:
        yield
    finally:
        for name in new:
            del os.environ[name]
