"""Timer: wall time, honest on devices that work asynchronously."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace

import torch

from .. import device
from ..log import log
from ..reference import ReferencePath


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


class NetTimer:
    """Runs a net forward and backward, every layer of it, and adds up what each takes.

    All layers run backward, whether training would ask them to or not, each for the gradients that the
    plan's flags name. From then on the layers keep what that takes.
    """

    def __init__(self, runner: ReferencePath) -> None:
        layers = tuple(replace(layer, runs_backward=True) for layer in runner.plan.layers)
        plan = replace(runner.plan, layers=layers)
        self._steps = ReferencePath(plan, runner.layers, runner.blobs, runner.layout).steps
        self.layer_forward_ms = [0.0 for _ in self._steps]
        self.layer_backward_ms = [0.0 for _ in self._steps]
        self.forward_ms = self.backward_ms = 0.0

    def iteration(self) -> float:
        """One pass forward and backward; returns its milliseconds."""
        whole = Timer()
        whole.start()
        with torch.no_grad():
            forward = list(enumerate(step.forward for step in self._steps))
            backward = list(enumerate(step.backward for step in self._steps))
            self.forward_ms += self._pass(forward, self.layer_forward_ms)
            self.backward_ms += self._pass(reversed(backward), self.layer_backward_ms)
        return whole.ms

    @staticmethod
    def _pass(runs: Iterable[tuple[int, Callable[[], object]]], times: list[float]) -> float:
        whole, one = Timer(), Timer()
        whole.start()
        for number, run in runs:
            one.start()
            run()
            times[number] += one.ms
        return whole.ms
