"""Gradient descent with momentum in one go over memory, by the threads of the fast path."""

from __future__ import annotations

from torch import Tensor

from ..machine import gradients
from ..machine.simd import LANES, bits
from ..machine.workers import in_shares


def descend(data: Tensor, diff: Tensor, history: Tensor, rate: float, momentum: float, decay: float) -> None:
    """history = momentum history + rate (diff + decay data); diff = history; data -= history.

    The same numbers as by `updates.sgd`.

    Args:
        data, diff, history: float32, of one length, each without gaps, on the host.
    """
    work = gradients.Descent(
        data=data.data_ptr(),
        diff=diff.data_ptr(),
        history=history.data_ptr(),
        rate=bits(rate),
        momentum=bits(momentum),
        decay=bits(decay),
        count=data.numel(),
    )
    in_shares(gradients.descend, work, -(-data.numel() // LANES), LANES, 3 * 4 * LANES)
