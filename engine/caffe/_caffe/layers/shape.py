"""Layers that rearrange one blob: Crop, Reshape, Flatten, Tile."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..blob import Blob
from ..layer import Arity, Layer
from ..registry import register
from .checks import shown


@register("Crop")
class Crop(Layer):
    """Caffe's Crop: bottom 0 cut to the sizes of bottom 1 on every axis from `axis` on.

    `offset` is where the cut starts: one number for all those axes, one each, or none for 0. Bottom 1
    gives its sizes only; no gradient flows to it.

    Raises:
        LayerError: the cut reaches outside bottom 0, or the offsets are neither one nor one per axis.
    """

    reads = ("crop_param",)
    bottoms = Arity(2)
    tops = Arity(1)

    def reshape(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        param = self.layer_param.crop_param
        dims, wanted = bottom[0].dims, bottom[1].dims
        start, offsets = bottom[0].axis(param.axis), list(param.offset)
        cropped = len(dims) - start
        self.check(
            len(offsets) in (0, 1, cropped),
            f"{len(offsets)} offsets for the {cropped} axes from axis {start} on: give none, one for all, or "
            f"{cropped}; {shown(self, bottom, 0)}",
        )
        self.check(
            len(wanted) >= len(dims),
            f"{shown(self, bottom, 0)} is cropped on axes {start} to {len(dims) - 1}, but the reference "
            f"{shown(self, bottom, 1)} has {len(wanted)} axes",
        )
        offsets = offsets * cropped if len(offsets) == 1 else offsets or [0] * cropped
        for axis, offset in enumerate(offsets, start):
            room = dims[axis] - wanted[axis]
            mend = f"valid offsets are 0 to {room}" if room >= 0 else "it is smaller than the reference"
            self.check(
                offset <= room,
                f"{shown(self, bottom, 0)} cropped to {shown(self, bottom, 1)}: on axis {axis} "
                f"offset {offset} + size {wanted[axis]} exceeds {dims[axis]}; {mend}",
            )
        self.cut = (slice(None),) * start + tuple(
            slice(offset, offset + size) for offset, size in zip(offsets, wanted[start:])
        )
        top[0].resize(dims[:start] + wanted[start : len(dims)])

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        top[0].put(top[0].value.copy_(bottom[0].value[self.cut]))

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        if propagate_down[0]:
            grad = bottom[0].grad.zero_()
            grad[self.cut] = top[0].grad
            bottom[0].put_grad(grad)


@register("Reshape")
class Reshape(Layer):
    """Caffe's Reshape: the axes [axis, axis + num_axes) replaced by `shape`; data and diff are shared.

    Dim 0 copies the bottom's dim at the same absolute position, one -1 is inferred. A negative `axis`
    counts from the end plus one: -1 appends. `num_axes` -1 is to the end.

    Raises:
        LayerError: axes out of range, no dim to copy, two -1, or a count that differs.
    """

    reads = ("reshape_param",)
    bottoms = Arity(1)
    tops = Arity(1)

    def setup(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        dims = tuple(self.layer_param.reshape_param.shape.dim)
        self.check(bottom[0] is not top[0], "does not work in place: give the top another name")
        self.check(min(dims, default=0) >= -1, f"shape {dims}: a dim is positive, 0 (copy) or -1 (infer)")
        self.check(
            dims.count(-1) <= 1, f"new shape contains multiple -1 dims; at most one is inferred: shape {dims}"
        )

    def reshape(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        dims = self._dims(bottom)
        count = math.prod(dims)
        self.check(
            count == bottom[0].count,
            f"output count must match input count: {shown(self, bottom, 0)} has {bottom[0].count} values, "
            f"{tuple(dims)} {count}",
        )
        top[0].resize(dims)
        top[0].share_data(bottom[0])
        top[0].share_diff(bottom[0])

    def _dims(self, bottom: Sequence[Blob]) -> list[int]:
        param = self.layer_param.reshape_param
        old, new = list(bottom[0].dims), list(param.shape.dim)
        start = param.axis if param.axis >= 0 else len(old) + param.axis + 1
        end = len(old) if param.num_axes == -1 else start + param.num_axes
        self.check(
            0 <= start <= end <= len(old),
            f"axis {param.axis} with num_axes {param.num_axes} is out of range for {shown(self, bottom, 0)}",
        )
        for i in range(len(new)):
            if new[i] == 0:
                self.check(
                    start + i < len(old),
                    f"new shape contains a 0, but {shown(self, bottom, 0)} has no axis {start + i} to copy",
                )
                new[i] = old[start + i]
        dims = old[:start] + new + old[end:]
        if -1 in new:
            known = -math.prod(dims)
            self.check(
                known and bottom[0].count % known == 0,
                "bottom count must be divisible by the product of the specified dimensions: -1 in "
                f"{tuple(dims)} cannot be inferred from {shown(self, bottom, 0)}",
            )
            dims[start + new.index(-1)] = bottom[0].count // known
        return dims


@register("Flatten")
class Flatten(Layer):
    """Caffe's Flatten: the axes `axis` to `end_axis`, both included, become one; the data are shared.

    An `end_axis` just before `axis` puts in an axis of 1.
    """

    reads = ("flatten_param",)
    bottoms = Arity(1)
    tops = Arity(1)

    def setup(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        self.check(bottom[0] is not top[0], "does not work in place: give the top another name")

    def reshape(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        param, dims = self.layer_param.flatten_param, bottom[0].dims
        start, end = bottom[0].axis(param.axis), bottom[0].axis(param.end_axis)
        self.check(start <= end + 1, f"axis {start} comes after end_axis {end} of {shown(self, bottom, 0)}")
        top[0].resize((*dims[:start], math.prod(dims[start : end + 1]), *dims[end + 1 :]))
        top[0].share_data(bottom[0])

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        # Caffe makes the bottom adopt the top's diff, asked or not. A copy: adopting would cut the bottom
        # off from a Reshape, Concat or Slice before it whose diff it shares.
        bottom[0].put_grad(top[0].grad)


@register("Tile")
class Tile(Layer):
    """Caffe's Tile: `tiles` copies one after the other along `axis`: [a b] becomes [a b a b]."""

    reads = ("tile_param",)
    bottoms = Arity(1)
    tops = Arity(1)

    def setup(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        tiles = self.layer_param.tile_param.tiles
        self.check(
            tiles > 0, f"Number of tiles must be specified and positive: tile_param {{ tiles: {tiles} }}"
        )

    def reshape(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        param, dims = self.layer_param.tile_param, list(bottom[0].dims)
        axis = bottom[0].axis(param.axis)
        # The copies are whole blocks of the axes from `axis` on.
        self._blocks = math.prod(dims[:axis]), param.tiles, math.prod(dims[axis:])
        dims[axis] *= param.tiles
        top[0].resize(dims)

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        outer, _, block = self._blocks
        top[0].put(bottom[0].value.view(outer, 1, block).expand(self._blocks))

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        if propagate_down[0]:
            bottom[0].put_grad(top[0].grad.view(self._blocks).sum(1))
