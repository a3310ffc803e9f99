"""Batches loaded by a thread while the net computes (Caffe's BasePrefetchingDataLayer).

The thread holds the source and the queue, never the layer: a net that nobody refers to is freed, and
its thread ends.
"""

from __future__ import annotations

import atexit
import threading
import weakref
from collections import deque
from typing import Any, Protocol

import numpy as np


class Source(Protocol):
    """Where batches come from."""

    def load(self) -> tuple[np.ndarray, ...]:
        """The next batch: an array for every top."""

    def state(self) -> dict[str, Any]:
        """The present position and random state, as JSON can hold them."""

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to where `state` was taken."""


class _Queue:
    """Loaded batches, each with the source's state after it; an exception in place of the last one."""

    def __init__(self, depth: int) -> None:
        self._depth, self._closed = depth, False
        self._items: deque[tuple[tuple[np.ndarray, ...], dict[str, Any]] | BaseException] = deque()
        self._changed = threading.Condition()

    def wait_for_room(self) -> bool:
        """Wait until another batch may be added; False once the queue is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or len(self._items) < self._depth)
            return not self._closed

    def add(self, item: tuple[tuple[np.ndarray, ...], dict[str, Any]] | BaseException) -> None:
        with self._changed:
            self._items.append(item)
            self._changed.notify_all()

    def take(self) -> tuple[tuple[np.ndarray, ...], dict[str, Any]]:
        """Wait for a batch; raises what stopped the thread, and again when asked again."""
        with self._changed:
            self._changed.wait_for(lambda: self._items)
            item = self._items[0]
            if isinstance(item, BaseException):
                raise item
            self._items.popleft()
            self._changed.notify_all()
            return item

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()


def _fill(source: Source, queue: _Queue) -> None:
    try:
        while queue.wait_for_room():
            queue.add((source.load(), source.state()))
    except BaseException as error:  # noqa: BLE001  take() raises it where somebody can catch it
        queue.add(error)


class Prefetcher:
    """Batches of `source` in its order, up to `depth` of them loaded ahead by a thread.

    The thread starts at the first `next`, so that a net that is only looked at reads nothing.
    """

    def __init__(self, source: Source, depth: int) -> None:
        self._source, self._depth = source, max(depth, 1)
        #: The source's state after the last batch handed out.
        self.state = source.state()
        self._queue: _Queue | None = None

    def next(self) -> tuple[np.ndarray, ...]:
        """The next batch; raises what went wrong in loading it."""
        if self._queue is None:
            self._start()
        arrays, self.state = self._queue.take()  # type: ignore[union-attr]
        return arrays

    def _start(self) -> None:
        self._queue = _Queue(self._depth)
        self._thread = threading.Thread(target=_fill, args=(self._source, self._queue), daemon=True)
        _running[self._thread] = self._queue
        weakref.finalize(self, self._queue.close).atexit = False
        self._thread.start()

    def restore(self, state: dict[str, Any]) -> None:
        """Drop what was loaded ahead and go on from where `state` was taken."""
        if self._queue is not None:
            self._queue.close()
            self._thread.join()
            self._queue = None
        self._source.restore(state)
        self.state = self._source.state()


_running: weakref.WeakKeyDictionary[threading.Thread, _Queue] = weakref.WeakKeyDictionary()


@atexit.register
def _stop() -> None:
    """End the threads before the interpreter takes itself apart under them."""
    threads = list(_running.items())
    for _, queue in threads:
        queue.close()
    for thread, _ in threads:
        thread.join()
