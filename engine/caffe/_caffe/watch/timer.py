"""Timer: wall time, honest on devices that work asynchronously."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import torch

from .. import device
from ..log import log

if TYPE_CHECKING:
    from ..net import Net


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
    net's flags name.
    """

    def __init__(self, net: Net) -> None:
        self._net = net
        self._layers = range(len(net._layer_list))
        self.layer_forward_ms = [0.0 for _ in self._layers]
        self.layer_backward_ms = [0.0 for _ in self._layers]
        self.forward_ms = self.backward_ms = 0.0
        plan = net._backward_plan
        for number, layer in enumerate(net._layer_list):
            # A layer that knows of no backward keeps nothing for it.
            layer.wants_gradient = any(plan.bottoms[number]) or any(plan.params[number])

    def iteration(self) -> float:
        """One pass forward and backward; returns its milliseconds."""
        whole = Timer()
        whole.start()
        with torch.no_grad():
            self.forward_ms += self._pass(self._layers, self._net._forward_layer, self.layer_forward_ms)
            backward = reversed(self._layers)
            self.backward_ms += self._pass(backward, self._net._backward_layer, self.layer_backward_ms)
        return whole.ms

    @staticmethod
    def _pass(layers: Iterable[int], run: Callable[[int], object], times: list[float]) -> float:
        whole, one = Timer(), Timer()
        whole.start()
        for number in layers:
            one.start()
            run(number)
            times[number] += one.ms
        return whole.ms
