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
from dataclasses import dataclass
from multiprocessing import resource_tracker
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
#: What a worker raises that ends its part of the work, and not that of the others.
FAILURES = (ValueError, RuntimeError, OSError, MemoryError)


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
    ledger = Ledger(items, len(makers))
    crew = _Crew(ledger, {})
    try:
        crew.start(makers)
        while crew.shards:
            crew.listen()
            yield from ledger.ready()
    finally:
        crew.end()
    ledger.close()


class Ledger(Generic[Item]):
    """Which items have a result and which are lost, while so many workers share them.

    Attributes:
        items: worker k takes every `count`-th of them, from number k on.
        left: for each worker, the numbers of those that it has not done yet.
    """

    def __init__(self, items: Sequence[Item], count: int) -> None:
        self.items = items
        self.left = [list(range(worker, len(items), count)) for worker in range(count)]
        self._reasons: list[str] = []
        self._lost: set[int] = set()
        self._found: dict[int, Any] = {}
        self._following = 0

    def put(self, worker: int, number: int, result: Any) -> None:
        """A worker has done an item of its own."""
        self.left[worker].remove(number)
        self._found[number] = result

    def give_up(self, worker: int, reason: str) -> None:
        """Nothing more will come of a worker."""
        self._reasons.append(reason)
        self._lost |= set(self.left[worker])
        self.left[worker].clear()

    def abandon(self, reason: str) -> None:
        """Nothing more will come of any worker."""
        for worker in range(1, len(self.left)):
            self.left[0] += self.left[worker]
            self.left[worker].clear()
        self.give_up(0, reason)

    def ready(self) -> Iterator[Any]:
        """The results that are next in the order of the items; lost ones are left out."""
        while self._following in self._found or self._following in self._lost:
            if self._following in self._found:
                yield self._found.pop(self._following)
            self._following += 1

    def close(self) -> None:
        """Raise ShardError where an item has no result."""
        if self._reasons:
            raise ShardError(self._reasons, [self.items[number] for number in sorted(self._lost)])


def serve(
    opened: Opened[Item, Result], work: Mapping[int, Item], send: Callable[[int, Result | None, str], None]
) -> None:
    """Do items: `send(number, result, "")` of each, or `send(-1, None, problem)` once, which is the end."""
    try:
        with opened() as worker:
            for number, item in work.items():
                send(number, worker(item), "")
    except (BrokenPipeError, ConnectionResetError):
        pass  # whoever takes the results is gone
    except FAILURES as error:
        send(-1, None, str(error) or type(error).__name__)


@dataclass
class _Shard:
    """A process. number: from 0 on, of `count`."""

    process: BaseProcess
    number: int
    count: int

    def ending(self) -> str:
        """How the process ended, for a message."""
        self.process.join()
        code = self.process.exitcode or 0
        return f"{self} {f'was ended by signal {-code}' if code < 0 else f'ended with status {code}'}"

    def __str__(self) -> str:
        return f"process {self.number + 1} of {self.count}"


@dataclass
class _Crew(Generic[Item]):
    """The processes at work: pipe -> shard."""

    ledger: Ledger[Item]
    shards: dict[Connection, _Shard]

    def start(self, makers: Sequence[Opened[Item, Any]]) -> None:
        context = multiprocessing.get_context("spawn")
        count = len(makers)
        with _environment({THREADS: str(max(1, cores() // count))}), _deaf():
            for shard, maker in enumerate(makers):
                ours, theirs = context.Pipe(duplex=False)
                work = {number: self.ledger.items[number] for number in self.ledger.left[shard]}
                process = context.Process(target=_serve, args=(maker, work, theirs), daemon=True)
                process.start()
                theirs.close()  # or the pipe would not end with the process
                self.shards[ours] = _Shard(process, shard, count)

    def listen(self) -> None:
        """Wait for what the processes send, and take it."""
        ready = wait(list(self.shards))
        for pipe in [pipe for pipe in self.shards if pipe in ready]:
            self._take(pipe)

    def _take(self, pipe: Connection) -> None:
        """What a process sent: a result, or nothing where it ended."""
        shard = self.shards[pipe]
        try:
            number, result, problem = pipe.recv()
        except (EOFError, OSError):
            del self.shards[pipe]
            pipe.close()
            if self.ledger.left[shard.number]:
                self.ledger.give_up(shard.number, shard.ending())
            return
        if problem:
            self.ledger.give_up(shard.number, f"{shard}: {problem}")
        else:
            self.ledger.put(shard.number, number, result)

    def end(self) -> None:
        for pipe, shard in self.shards.items():
            shard.process.terminate()
            shard.process.join()
            pipe.close()


def _serve(maker: Opened[Item, Any], work: Mapping[int, Item], pipe: Connection) -> None:
    """A process."""
    serve(maker, work, lambda *message: pipe.send(message))


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _deaf() -> Iterator[None]:
    """Processes that start inside never hear Ctrl-C; who started them does, once all have."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # where that starts, it lets Ctrl-C through again
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # which the processes inherit
    try:
        with _noted(signal.SIGINT):  # by another thread
            yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


@contextmanager
def _noted(number: int) -> Iterator[None]:
    """What a signal does happens at the end, in the main thread; in another one at once."""
    if threading.current_thread() is not threading.main_thread():
        yield  # there signals can't be set
        return
    heard: list[int] = []
    before = signal.signal(number, lambda found, _: heard.append(found))
    try:
        yield
    finally:
        signal.signal(number, before)
        if heard:
            signal.raise_signal(number)


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
