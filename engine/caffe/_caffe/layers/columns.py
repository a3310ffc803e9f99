"""Convolutions as matrix products over columns: what lies under a kernel's taps, pixel by pixel.

Legend: N items of C channels, every axis after them is spatial; O outputs, K the size of a window.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F

from ..layer import Call

Ints = tuple[int, ...]


@dataclass(frozen=True)
class ConvWindow:
    """How a kernel walks over the spatial axes; one number per axis in each field."""

    kernel: Ints
    stride: Ints
    pad: Ints
    dilation: Ints

    @property
    def extent(self) -> Ints:
        """What a dilated kernel spans."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation))

    def placements(self, size: Sequence[int]) -> Ints:
        """How often the kernel fits into `size`, by C's division: it truncates toward zero.

        A kernel larger than the padded input by less than a stride therefore fits once.
        """
        spans = [n + 2 * p - e for n, p, e in zip(size, self.pad, self.extent)]
        return tuple((abs(span) // s) * (1 if span >= 0 else -1) + 1 for span, s in zip(spans, self.stride))

    def spread(self, size: Sequence[int]) -> Ints:
        """The size whose `placements` are `size`: what a deconvolution makes of it."""
        return tuple(s * (n - 1) + e - 2 * p for n, s, e, p in zip(size, self.stride, self.extent, self.pad))

    def overhangs(self, size: Sequence[int]) -> bool:
        """Whether a kernel is larger than the padded input on some axis."""
        return any(n + 2 * p < e for n, p, e in zip(size, self.pad, self.extent))


def columns(x: torch.Tensor, window: ConvWindow) -> torch.Tensor:
    """im2col: (N, C, size...) to (N, C*K, placements...), reading zeros outside the input."""
    batch, channels, *size = x.shape
    places = window.placements(size)
    shape = (batch, channels * math.prod(window.kernel), *places)
    return x.new_zeros(shape) if 0 in shape else _taps(x, window, places).reshape(shape)


def _taps(x: torch.Tensor, window: ConvWindow, places: Ints) -> torch.Tensor:
    """(N, C, kernel..., placements...): what each tap of the kernel meets, in one padded copy of `x`."""
    margins = [
        (p, (o - 1) * s + e - n - p)
        for n, o, s, e, p in zip(x.shape[2:], places, window.stride, window.extent, window.pad)
    ]
    padded = F.pad(x, [side for margin in reversed(margins) for side in margin])
    return _windows(padded.contiguous(), window, places)


def _windows(x: torch.Tensor, window: ConvWindow, places: Ints) -> torch.Tensor:
    """(N, C, kernel..., placements...): what each tap of the kernel meets, where it lies in `x`."""
    steps = x.stride()[2:]
    taps = [step * d for step, d in zip(steps, window.dilation)]
    hops = [step * s for step, s in zip(steps, window.stride)]
    return x.as_strided((*x.shape[:2], *window.kernel, *places), (*x.stride()[:2], *taps, *hops))


def uncolumns(cols: torch.Tensor, size: Sequence[int], window: ConvWindow) -> torch.Tensor:
    """col2im, the adjoint of `columns`: (N, C*K, placements...) to (N, C, size...), overlaps summed."""
    places = cols.shape[2:]
    batch, channels = len(cols), cols.shape[1] // math.prod(window.kernel)
    if cols.numel() == 0:
        return cols.new_zeros(batch, channels, *size)
    taps = cols.reshape(batch, channels, *window.kernel, *places)
    cut: list[slice] = []
    for axis in reversed(range(len(places))):  # one by one: kernel_h + kernel_w sums, not their product
        stride, pad, dilation = window.stride[axis], window.pad[axis], window.dilation[axis]
        length = max((places[axis] - 1) * stride + window.extent[axis], pad + size[axis])
        at = 2 + 2 * axis  # where the placements of the axis are, once its taps are picked
        shape = [*taps.shape[: 2 + axis], *taps.shape[3 + axis :]]
        line = taps.new_zeros(*shape[:at], length, *shape[at + 1 :])
        for tap, part in enumerate(taps.unbind(2 + axis)):
            line[(slice(None),) * at + (_reach(tap * dilation, places[axis], stride),)] += part
        taps = line
        cut.insert(0, slice(pad, pad + size[axis]))
    inside = (slice(None), slice(None), *cut)
    return taps[inside]


def _reach(first: int, count: int, stride: int) -> slice:
    """`count` places from `first` on, `stride` apart."""
    return slice(first, first + (count - 1) * stride + 1, stride)


def correlate(x: torch.Tensor, weight: torch.Tensor, window: ConvWindow, groups: int) -> torch.Tensor:
    """A convolution through `columns`: (N, C, size...) to (N, O, placements...)."""
    cols = columns(x, window)
    places = cols.shape[2:]
    cols = cols.reshape(len(x), groups, cols.shape[1] // groups, math.prod(places))
    return (_grouped(weight, groups) @ cols).reshape(len(x), weight.shape[0], *places)


def adjoint(
    y: torch.Tensor, weight: torch.Tensor, size: Sequence[int], window: ConvWindow, groups: int
) -> torch.Tensor:
    """The adjoint of `correlate` in its first argument: (N, O, placements...) to (N, C, size...)."""
    batch, outputs, *places = y.shape
    cols = _grouped(weight, groups).mT @ y.reshape(batch, groups, outputs // groups, math.prod(places))
    return uncolumns(cols.reshape(batch, weight[0].numel() * groups, *places), size, window)


def weight_gradient(x: torch.Tensor, y: torch.Tensor, window: ConvWindow, groups: int) -> torch.Tensor:
    """The adjoint of `correlate` in the weight, summed over N: (G, O/G, C/G*K)."""
    cols = columns(x, window)
    cols = cols.reshape(len(x), groups, cols.shape[1] // groups, math.prod(cols.shape[2:]))
    y = y.reshape(len(y), groups, y.shape[1] // groups, math.prod(y.shape[2:]))
    return torch.einsum("ngol,ngkl->gok", y, cols)


def batch_gradients(
    x: torch.Tensor, weight: torch.Tensor, dy: torch.Tensor, window: ConvWindow, wanted: Sequence[bool]
) -> tuple[torch.Tensor | None, ...]:
    """The gradients of bottom, weight and bias that are wanted, each by one product for the whole batch."""
    batch, channels = x.shape[:2]
    places, depth = dy.shape[2:], channels * math.prod(window.kernel)
    lines = dy.transpose(0, 1).reshape(dy.shape[1], -1)  # (O, N*placements)
    dx = dw = None
    if wanted[1]:
        # (C, kernel..., N, placements...)
        taps = _taps(x, window, tuple(places)).movedim(0, 1 + len(places))
        dw = (lines @ taps.reshape(depth, lines.shape[1]).t()).view(weight.shape)
    if wanted[0]:
        cols = (weight.reshape(len(weight), depth).t() @ lines).view(depth, batch, *places)
        dx = uncolumns(cols.transpose(0, 1), x.shape[2:], window)
    return dx, dw, lines.sum(1) if wanted[2] else None


def _grouped(weight: torch.Tensor, groups: int) -> torch.Tensor:
    return weight.reshape(groups, weight.shape[0] // groups, weight[0].numel())


class Few:
    """The calls of a convolution of one group and a kernel of two axes, from memory and to memory.

    Args:
        x: (N, C, H, W).
        weight: (O, C, kernel...).
    """

    def __init__(self, x: torch.Tensor, weight: torch.Tensor, window: ConvWindow) -> None:
        self._x, self._weight, self._window = x, weight, window
        self._alone = len(x) == 1 and not any(window.pad)  # columns take one copy

    def forward(self, bias: torch.Tensor | None, y: torch.Tensor) -> list[Call]:
        """What computes `y`, (N, O, placements...)."""
        x, weight, window = self._x, self._weight, self._window
        if not self._alone or bias is None:
            forward = torch.ops.aten._slow_conv2d_forward.output
            return [partial(forward, x, weight, window.kernel, bias, window.stride, window.pad, output=y)]
        copy, cols = self._columns(y)
        lines = y.view(len(weight), -1)
        return [copy, partial(torch.addmm, bias.unsqueeze(1), weight.flatten(1), cols, out=lines)]

    def backward(self, dy: torch.Tensor, targets: Sequence[torch.Tensor | None]) -> list[Call]:
        """What computes the gradients of bottom, weight and bias into `targets`, where that is not None."""
        x, weight, window = self._x, self._weight, self._window
        dx, dw, db = targets
        if self._alone and dx is None and dw is not None:
            copy, cols = self._columns(dy)
            lines = dy.view(len(weight), -1)
            calls: list[Call] = [copy, partial(torch.mm, lines, cols.t(), out=dw.view(len(weight), -1))]
            return calls if db is None else [*calls, partial(torch.sum, lines, 1, out=db)]
        if len(x) == 1 and dx is not None and dw is not None and db is not None:
            backward = torch.ops.aten._slow_conv2d_backward.grad_input
            put = {"grad_input": dx, "grad_weight": dw, "grad_bias": db}
            return [partial(backward, dy, x, weight, window.kernel, window.stride, window.pad, **put)]

        def descend() -> None:
            for target, grad in zip(targets, self.gradients(dy, [target is not None for target in targets])):
                if target is not None:
                    target.copy_(grad.view(target.shape))

        return [descend]

    def _columns(self, y: torch.Tensor) -> tuple[Call, torch.Tensor]:
        """What fills the columns of one item without a margin, and these, (C*K, placements)."""
        (taps,) = _windows(self._x, self._window, tuple(y.shape[2:]))
        cols = torch.empty(taps.shape)
        return partial(cols.copy_, taps), cols.view(-1, y[0, 0].numel())

    def gradients(self, dy: torch.Tensor, wanted: Sequence[bool]) -> tuple[Any, ...]:
        """The gradients of bottom, weight and bias; those that are not wanted may be anything."""
        x, weight, window = self._x, self._weight, self._window
        if len(x) > 1 or not wanted[0]:
            return batch_gradients(x, weight, dy, window, wanted)
        grads: tuple[Any, ...] = torch.ops.aten._slow_conv2d_backward.output_mask(
            dy, x, weight, window.kernel, window.stride, window.pad, output_mask=wanted
        )
        return grads
