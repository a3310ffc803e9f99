"""One net, many who ask: each gets a turn, and who would wait too long is told at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from types import TracebackType
from typing import Generic, TypeVar

Tool = TypeVar("Tool")
Result = TypeVar("Result")


class BusyError(RuntimeError):
    """As many are waiting as may wait."""


class Turns(Generic[Tool]):
    """A tool that one thread makes, uses and closes, in the order in which it is asked. A context.

    Args:
        opened: makes the tool.
        most: how many may be at it and wait for it.
    """

    def __init__(self, opened: Callable[[], AbstractContextManager[Tool]], most: int) -> None:
        self._stack = ExitStack()
        self._pool = ThreadPoolExecutor(1, "net")
        self._places = threading.BoundedSemaphore(most)
        self._opened = opened

    def __enter__(self) -> Turns[Tool]:
        try:
            self._tool = self._pool.submit(lambda: self._stack.enter_context(self._opened())).result()
        except BaseException:
            self._pool.shutdown(cancel_futures=True)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)
        self._stack.close()

    def ask(self, work: Callable[[Tool], Result]) -> Result:
        """`work(tool)`, when it is its turn; what it raises is raised here.

        Raises:
            BusyError: too many are waiting.
        """
        if not self._places.acquire(blocking=False):
            raise BusyError("too many images are waiting")
        try:
            return self._pool.submit(work, self._tool).result()
        finally:
            self._places.release()
