"""The mean of the latest losses (solver.cpp: UpdateSmoothedLoss), read from a device when it is shown."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from .. import device

Loss = torch.Tensor | float

_MOST = 256  # iterations whose losses may lie on a device


class SmoothedLoss:
    """The mean over the last `window` iterations.

    Args:
        window: a solver's `average_loss`.
    """

    def __init__(self, window: int) -> None:
        self._window = window
        self._latest: list[float] = []
        self._count, self._mean = 0, 0.0
        self._unread: list[Sequence[Loss]] = []

    def add(self, parts: Sequence[Loss]) -> None:
        """An iteration has run, in so many forward passes of these losses."""
        if not self._unread and not any(isinstance(part, torch.Tensor) for part in parts):
            self._take_in(sum(parts) / len(parts))  # type: ignore[arg-type]  # nothing to wait for
            return
        self._unread.append(parts)
        if device.current() is device.HOST or len(self._unread) == _MOST:
            self._read()

    @property
    def value(self) -> float:
        """The mean; waits for the device."""
        self._read()
        return self._mean

    def _read(self) -> None:
        unread, self._unread = self._unread, []
        tensors = [part for parts in unread for part in parts if isinstance(part, torch.Tensor)]
        numbers = iter(torch.stack(tensors).tolist() if len(tensors) > 1 else map(float, tensors))
        for parts in unread:
            loss = 0.0
            for part in parts:
                loss += next(numbers) if isinstance(part, torch.Tensor) else part
            self._take_in(loss / len(parts))

    def _take_in(self, loss: float) -> None:
        if len(self._latest) < self._window:
            self._latest.append(loss)
            count = len(self._latest)
            self._mean = (self._mean * (count - 1) + loss) / count
        else:
            slot = self._count % self._window
            self._mean += (loss - self._latest[slot]) / self._window
            self._latest[slot] = loss
        self._count += 1
