"""Settings of layers with Caffe's defaults filled in: windows over height and width, axes, cuts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from .graph import Layer

Pair = tuple[int, int]


@dataclass(frozen=True)
class Window:
    """A window that slides over height and width: (H, W) each."""

    kernel: Pair
    stride: Pair
    pad: Pair
    dilation: Pair = (1, 1)


def convolution(layer: Layer) -> Window:
    """The window of a Convolution or Deconvolution; ValueError where it has other than two axes."""
    p = layer.spec.convolution_param
    if layer.rank != 4 or layer.axis(p.axis) != 1:
        raise layer.refuse(f"only height and width are convolved here, and the bottom has {layer.rank} axes")
    return Window(
        _pair(p, "kernel", p.kernel_size, 1),
        _pair(p, "stride", p.stride, 1),
        _pair(p, "pad", p.pad, 0),
        _pair(p, "", p.dilation, 1),
    )


def pooling(layer: Layer) -> Window | None:
    """The window of a Pooling; None for all of the map.

    Raises:
        ValueError: windows that other frameworks place elsewhere than Caffe.
    """
    p = layer.spec.pooling_param
    if p.pool not in (p.MAX, p.AVE):
        raise layer.refuse("stochastic pooling has no counterpart")
    if p.global_pooling:
        return None
    own = [[p.kernel_size] if p.HasField("kernel_size") else [], [p.stride], [p.pad]]
    kernel, stride, pad = (_pair(p, n, v, 1) for n, v in zip(("kernel", "stride", "pad"), own))
    if p.round_mode == p.CEIL and any(s > k for s, k in zip(stride, kernel)):
        raise layer.refuse("its stride exceeds its kernel: Caffe may pool where no image is, others never do")
    if any(2 * size > k for size, k in zip(pad, kernel)):
        raise layer.refuse("its padding exceeds half its kernel, which others do not take")
    return Window(kernel, stride, pad)


def crop(layer: Layer) -> tuple[int, tuple[int, ...]]:
    """First axis that a Crop cuts, and the offsets of that and all that follow."""
    p = layer.spec.crop_param
    axis = layer.axis(p.axis)
    count = layer.rank - axis
    offsets = tuple(p.offset) or (0,)
    return axis, offsets * count if len(offsets) == 1 else offsets


def concat_axis(layer: Layer) -> int:
    """The axis that a Concat joins."""
    p = layer.spec.concat_param
    return int(p.concat_dim) if p.HasField("concat_dim") else layer.axis(p.axis)


def slices(layer: Layer) -> tuple[int, tuple[int, ...]]:
    """The axis of a Slice, and where it is cut; no points mean equal parts."""
    p = layer.spec.slice_param
    axis = int(p.slice_dim) if p.HasField("slice_dim") else layer.axis(p.axis)
    return axis, tuple(p.slice_point)


def exponential(layer: Layer) -> tuple[float, float, float]:
    """(scale, shift, logarithm of the base) of an Exp or a Log."""
    p = layer.spec.exp_param if layer.type == "Exp" else layer.spec.log_param
    return float(p.scale), float(p.shift), 1.0 if p.base == -1 else math.log(p.base)


def over_axes(layer: Layer, param: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that makes the parameter of a Scale or a Bias broadcast over the bottom."""
    return (*shape, *(1,) * (layer.rank - layer.axis(param.axis) - len(shape))) if param.num_axes else (1,)


def _pair(param: Any, name: str, values: Any, default: int) -> Pair:
    """(H, W) of a setting that is given for both, for each, or by name (`kernel_h`, `kernel_w`)."""
    if name and param.HasField(f"{name}_h"):
        return int(getattr(param, f"{name}_h")), int(getattr(param, f"{name}_w"))
    found = [int(value) for value in values] or [default]
    return found[0], found[-1]
