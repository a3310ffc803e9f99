"""Batches loaded by a thread while the net computes (Caffe's BasePrefetchingDataLayer)."""

from __future__ import annotations

import os
import threading
from collections import deque
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..errors import DataError


class Source(Protocol):
    """Where batches come from."""

    def load(self) -> tuple[np.ndarray, ...]:
        """The next batch: an array for every top."""

    def state(self) -> dict[str, Any]:
        """The present position and random state, as JSON can hold them."""

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to where `state` was taken."""

    def close(self) -> None:
        """Let go of files; called once, when nobody loads any more."""


class _Loaded(NamedTuple):
    """A batch, and where its source stood after it."""

    arrays: tuple[np.ndarray, ...]
    state: dict[str, Any]


class _Queue:
    """What was loaded: batches, and as the last one perhaps the exception that ended the loading."""

    def __init__(self, depth: int) -> None:
        self._depth, self._closed = depth, False
        self._items: deque[_Loaded | BaseException] = deque()
        self._changed = threading.Condition()

    def wait_for_room(self) -> bool:
        """Wait until another batch may be added; False once the queue is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or len(self._items) < self._depth)
            return not self._closed

    def add(self, item: _Loaded | BaseException) -> None:
        with self._changed:
            self._items.append(item)
            self._changed.notify_all()

    def take(self) -> _Loaded | BaseException:
        """Wait for the next item."""
        with self._changed:
            self._changed.wait_for(lambda: self._items)
            item = self._items.popleft()
            self._changed.notify_all()
            return item

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()


def _fill(source: Source, queue: _Queue) -> None:
    try:
        while queue.wait_for_room():
            queue.add(_Loaded(source.load(), source.state()))
    except BaseException as error:  # noqa: BLE001  raised where somebody can catch it
        queue.add(error)


class _Loader:
    """A thread that fills a queue from a source."""

    def __init__(self, source: Source, depth: int) -> None:
        self._queue, self._process = _Queue(depth), os.getpid()
        # Python waits for threads that are no daemons before it runs what would end them.
        self._thread = threading.Thread(
            target=_fill, args=(source, self._queue), name="caffe prefetch", daemon=True
        )
        self._thread.start()

    @property
    def lost(self) -> bool:
        """Whether this is the memory of a fork: the thread stayed in the process that started it."""
        return self._process != os.getpid()

    def take(self) -> _Loaded | BaseException:
        """Wait for the next batch, or what went wrong with it."""
        return self._queue.take()

    def stop(self, patience: float | None) -> bool:
        """End the thread, after the batch it is at; returns whether it ended in `patience` seconds."""
        if self.lost:  # and a lock that the thread held then stays locked
            return True
        self._queue.close()
        if self._thread is threading.current_thread():  # the collector may run anywhere
            return False
        self._thread.join(patience)
        return not self._thread.is_alive()


class Prefetcher:
    """Batches of `source` in its order, up to `depth` of them loaded ahead by a thread.

    The thread starts at the first `next`, so that a net that is only looked at reads nothing. It refers
    to the source alone. In a process forked off, the first `next` starts another one.
    """

    def __init__(self, source: Source, depth: int) -> None:
        self._source, self._depth = source, max(depth, 1)
        #: The source's state after the last batch handed out.
        self.state = source.state()
        self._loader: _Loader | None = None
        self._closed = False

    def next(self) -> tuple[np.ndarray, ...]:
        """The next batch; raises what went wrong in loading it. The call after that tries the same batch.

        Raises:
            DataError: the source is closed.
        """
        if self._closed:
            raise DataError("its net is closed and loads no more: build the net again")
        if self._loader is not None and self._loader.lost:
            self.restore(self.state)
        if self._loader is None:
            self._loader = _Loader(self._source, self._depth)
        item = self._loader.take()
        if isinstance(item, _Loaded):
            self.state = item.state
            return item.arrays
        try:
            self.restore(self.state)
            raise item
        finally:
            del item  # its traceback refers to this frame

    def restore(self, state: dict[str, Any]) -> None:
        """Drop what was loaded ahead and go on from where `state` was taken."""
        if self._loader is not None:
            self._loader.stop(None)
            self._loader = None
        self._source.restore(state)
        self.state = self._source.state()

    def close(self, patience: float | None = None) -> None:
        """End the thread and close the source.

        Args:
            patience: how many seconds to wait for the thread, which ends after the batch that it is at;
                None waits as long as it takes. If that is not enough, the source is left to the thread.
        """
        self._closed = True
        loader, self._loader = self._loader, None
        if loader is None or loader.stop(patience):
            self._source.close()
