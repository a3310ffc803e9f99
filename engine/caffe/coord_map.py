"""How spatial coordinates move through a net, and the crop that lines two blobs up.

A map is (axis, scale a, shift b): the coordinate x in a layer's input lies at a * x + b in its output,
for the axes after `axis`. `a` and `b` are arrays (one entry, or one per spatial axis) for layers with
kernels and plain numbers for layers that keep coordinates, whose axis is None.
Source: Long, Shelhamer and Darrell, "Fully Convolutional Networks for Semantic Segmentation",
section 4.3, where the offsets of the skip connections come from such maps.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np

from .net_spec import Function, Top, layers

Map = tuple[Any, Any, Any]

PASS_THROUGH_LAYERS = [
    "AbsVal", "BatchNorm", "Bias", "BNLL", "Dropout", "Eltwise", "ELU", "Log", "LRN", "Exp", "MVN", "Power",
    "ReLU", "PReLU", "Scale", "Sigmoid", "Split", "TanH", "Threshold",
]  # fmt: skip
_LEGACY = {"pad_h", "pad_w", "kernel_h", "kernel_w", "stride_h", "stride_w"}
_IDENTITY: Map = (None, 1, 0)


class UndefinedMapException(Exception):
    """A layer that coordinates cannot be followed through."""


class AxisMismatchException(Exception):
    """Two maps whose spatial axes start at different places."""


def conv_params(fn: Function) -> tuple[int, np.ndarray, np.ndarray, np.ndarray]:
    """(axis, stride, effective kernel, pad) of a layer with a kernel; a dilated kernel counts its holes.

    Raises:
        KeyError: no `kernel_size` (as for global pooling, which has no fixed map).
        AssertionError: `pad_h`, `stride_w` and the like beside it.
    """
    params = fn.params.get("convolution_param", fn.params)
    kernel = np.array(params["kernel_size"], ndmin=1)
    if _LEGACY & (set(fn.params) | set(params)):
        raise AssertionError("cropping does not support legacy _h/_w params")
    extent = (kernel - 1) * _array(params, "dilation", 1) + 1
    return params.get("axis", 1), _array(params, "stride", 1), extent, _array(params, "pad", 0)


def crop_params(fn: Function) -> tuple[int, np.ndarray]:
    """(axis, offset) of a Crop layer; the axis is the one before the first that is cropped."""
    params = fn.params.get("crop_param", fn.params)
    return params.get("axis", 2) - 1, _array(params, "offset", 0)


def _array(params: Mapping[str, Any], key: str, default: int) -> np.ndarray:
    return np.array(params.get(key, default), ndmin=1)


def coord_map(fn: Function) -> Map:
    """The map of one layer.

    Raises:
        UndefinedMapException: the layer's type has none.
    """
    if fn.type_name in ("Convolution", "Pooling", "Im2col"):
        axis, stride, kernel, pad = conv_params(fn)
        return axis, 1 / stride, (pad - (kernel - 1) / 2) / stride
    if fn.type_name == "Deconvolution":
        axis, stride, kernel, pad = conv_params(fn)
        return axis, stride, (kernel - 1) / 2 - pad
    if fn.type_name in PASS_THROUGH_LAYERS:
        return _IDENTITY
    if fn.type_name == "Crop":
        axis, offset = crop_params(fn)
        return axis, 1, -offset
    raise UndefinedMapException(f"coordinates cannot be followed through a layer of type {fn.type_name}")


def compose(base_map: Map, next_map: Map) -> Map:
    """`base_map` after `next_map`.

    Raises:
        AxisMismatchException: both have an axis, and not the same one.
    """
    axis1, a1, b1 = base_map
    axis2, a2, b2 = next_map
    if axis1 is not None and axis2 is not None and axis1 != axis2:
        raise AxisMismatchException(f"spatial axes start after axis {axis1} in one layer, {axis2} in another")
    return axis2 if axis1 is None else axis1, a1 * a2, a1 * b2 + b1


def inverse(coord_map: Map) -> Map:
    """The map the other way."""
    axis, a, b = coord_map
    return axis, 1 / a, -b / a


def coord_map_from_to(top_from: Top, top_to: Top) -> Map:
    """The map from coordinates of `top_from` to coordinates of `top_to`, through a common ancestor.

    Raises:
        RuntimeError: no path of layers with maps connects the two.
        AxisMismatchException: a path through layers that disagree on the axes.
    """
    from_maps = _ancestor_maps(top_from)
    to_maps = _ancestor_maps(top_to, until=from_maps)
    for top, to_map in to_maps.items():
        if top in from_maps:
            return compose(to_map, inverse(from_maps[top]))
    raise RuntimeError("Could not compute map between tops; are they connected by spatial layers?")


def _ancestor_maps(top: Top, until: Mapping[Top, Map] | None = None) -> dict[Top, Map]:
    """Maps to `top` from each of its ancestors, nearest first; stops at a Top that is in `until`.

    Paths to the same ancestor are taken to agree: in a consistent net they do.
    """
    maps = {top: _IDENTITY}
    frontier = deque([top])
    while frontier:
        current = frontier.popleft()
        if until is not None and current in until:
            break
        try:
            step = coord_map(current.fn)
        except UndefinedMapException:
            continue
        # A Crop takes coordinates from what it crops; its second input only gives a size.
        for bottom in current.fn.inputs[:1] if current.fn.type_name == "Crop" else current.fn.inputs:
            if bottom not in maps:
                maps[bottom] = compose(maps[current], step)
                frontier.append(bottom)
    return maps


def crop(top_from: Top, top_to: Top) -> Top:
    """A Crop layer that cuts `top_from` to the size of `top_to`, where the two lie over each other.

    Raises:
        AssertionError: the scales differ, or the offset is negative or not a whole number.
        AttributeError: no layer with a kernel lies between the two, so no axis is known.
        RuntimeError, AxisMismatchException: as for `coord_map_from_to`.
    """
    axis, a, b = coord_map_from_to(top_from, top_to)
    if not isinstance(a, np.ndarray):
        raise AttributeError("no layer with a kernel lies between the tops: use layers.Crop itself")
    if not (a == 1).all():
        raise AssertionError(f"scale mismatch on crop (a = {a})")
    if not (b <= 0).all():
        raise AssertionError(f"cannot crop negative offset (b = {b})")
    if not (np.round(b) == b).all():
        raise AssertionError(f"cannot crop noninteger offset (b = {b})")
    offset = (-b).astype(int).tolist()
    cropped: Top = layers.Crop(top_from, top_to, crop_param={"axis": axis + 1, "offset": offset})
    return cropped
