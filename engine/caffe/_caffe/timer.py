"""Timer: wall time, honest on devices that work asynchronously."""

from __future__ import annotations

import time

from . import device
from .log import log


class Timer:
    """A stopwatch (``caffe.Timer``). `start` and `stop` wait for the device to finish its work."""

    def __init__(self) -> None:
        self._begun: float | None = None
        self._running = False
        self._ms = 0.0

    def start(self) -> None:
        """Start, unless it runs already."""
        if not self._running:
            device.synchronize()
            self._begun, self._running = time.perf_counter(), True

    def stop(self) -> None:
        """Stop, if it runs."""
        if self._running and self._begun is not None:
            device.synchronize()
            self._ms, self._running = (time.perf_counter() - self._begun) * 1e3, False

    @property
    def ms(self) -> float:
        """Milliseconds between start and stop; reading it stops a running timer."""
        if self._begun is None:
            log.warning("Timer has never been run before reading time.")
        self.stop()
        return self._ms
