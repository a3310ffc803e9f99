"""Layers that join, part and choose blobs: Concat, Slice, Split, Silence, Filter, BatchReindex.

The first three write into the memory their result has already: large new memory costs as much as the copy.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import torch

from ..blob import Blob
from ..layer import Arity, Call, Layer
from ..registry import register
from .checks import shown


@register("Concat")
class Concat(Layer):
    """Caffe's Concat: the bottoms one after the other along `axis`. A single bottom is shared, not copied.

    Raises:
        LayerError: the shapes differ on another axis, or both `axis` and `concat_dim` are set.
    """

    reads = ("concat_param",)
    bottoms = Arity(1, None)
    tops = Arity(1)

    def setup(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        param = self.layer_param.concat_param
        both = param.HasField("axis") and param.HasField("concat_dim")
        self.check(not both, "Either axis or concat_dim should be specified; not both: keep axis")

    def reshape(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        param = self.layer_param.concat_param
        axis = bottom[0].axis(param.concat_dim if param.HasField("concat_dim") else param.axis)
        dims = list(bottom[0].dims)
        for i, blob in enumerate(bottom[1:], 1):
            rest = blob.dims[:axis] + blob.dims[axis + 1 :]
            self.check(
                len(blob.dims) == len(dims) and list(rest) == dims[:axis] + dims[axis + 1 :],
                f"All inputs must have the same shape, except at concat_axis {axis}: "
                f"{shown(self, bottom, 0)}, {shown(self, bottom, i)}",
            )
        self._axis, self._sizes = axis, [blob.dims[axis] for blob in bottom]
        dims[axis] = sum(self._sizes)
        top[0].resize(dims)
        if len(bottom) == 1:
            top[0].share_data(bottom[0])
            top[0].share_diff(bottom[0])

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        if len(bottom) > 1:
            top[0].put(torch.cat([blob.value for blob in bottom], self._axis, out=top[0].value))

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        if len(bottom) == 1:
            return
        for blob, part, wanted in zip(
            bottom, torch.split(top[0].grad, self._sizes, self._axis), propagate_down
        ):
            if wanted:
                blob.put_grad(blob.grad.copy_(part))


@register("Slice")
class Slice(Layer):
    """Caffe's Slice: the bottom cut along `axis` at each `slice_point`, or into equal parts.

    A single top shares the bottom's memory.

    Raises:
        LayerError: the slice points do not fit the tops or the dim, or the dim does not divide evenly.
    """

    reads = ("slice_param",)
    bottoms = Arity(1)
    tops = Arity(1, None)

    def setup(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        param = self.layer_param.slice_param
        both = param.HasField("axis") and param.HasField("slice_dim")
        self.check(not both, "Either axis or slice_dim should be specified; not both: keep axis")
        points = list(param.slice_point)
        self.check(
            not points or len(points) == len(top) - 1,
            f"{len(top)} tops need {len(top) - 1} slice points, not {len(points)}: {points}",
        )

    def reshape(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        param, dims = self.layer_param.slice_param, bottom[0].dims
        axis = bottom[0].axis(param.slice_dim if param.HasField("slice_dim") else param.axis)
        if param.slice_point:
            self.check(
                len(top) <= dims[axis],
                f"{len(top)} tops, but dim {axis} of {shown(self, bottom, 0)} is smaller",
            )
            cuts = [0, *param.slice_point, dims[axis]]
            sizes = [end - start for start, end in pairwise(cuts)]
            self.check(
                min(sizes[:-1]) > 0 and sizes[-1] >= 0,
                f"slice points {cuts[1:-1]} must increase from above 0 to at most {dims[axis]}, "
                f"dim {axis} of {shown(self, bottom, 0)}",
            )
        else:
            self.check(
                dims[axis] % len(top) == 0,
                f"Number of top blobs ({len(top)}) should evenly divide dim {axis} of "
                f"{shown(self, bottom, 0)}; or give slice_point",
            )
            sizes = [dims[axis] // len(top)] * len(top)
        self._axis, self._sizes = axis, sizes
        for blob, size in zip(top, sizes):
            blob.resize((*dims[:axis], size, *dims[axis + 1 :]))
        if len(top) == 1:
            top[0].share_data(bottom[0])
            top[0].share_diff(bottom[0])

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        if len(top) > 1:
            for blob, part in zip(top, torch.split(bottom[0].value, self._sizes, self._axis)):
                blob.put(blob.value.copy_(part))

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        if len(top) > 1 and propagate_down[0]:
            bottom[0].put_grad(torch.cat([blob.grad for blob in top], self._axis, out=bottom[0].grad))


@register("Split")
class Split(Layer):
    """Caffe's Split: every top shares the bottom's data; the bottom's diff is the sum of the tops'."""

    reads = ()
    bottoms = Arity(1)
    tops = Arity(1, None)

    def setup(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        self.check(
            all(blob is not bottom[0] for blob in top), "does not work in place: give the tops other names"
        )

    def reshape(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        for blob in top:
            blob.resize(bottom[0].dims)
            blob.share_data(bottom[0])

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        if not propagate_down[0]:
            return
        if len(top) == 1:
            bottom[0].put_grad(top[0].grad)
            return
        for call in self._sums(top, bottom[0].grad):
            call()
        bottom[0].put_grad(bottom[0].grad)

    def _sums(self, top: Sequence[Blob], total: torch.Tensor) -> list[Call]:
        first, second, *others = (blob.grad for blob in top)
        more = [partial(total.add_, other) for other in others]
        return [partial(torch.add, first, second, out=total), *more]

    def forward_calls(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> Sequence[Call]:
        return []

    def backward_calls(
        self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]
    ) -> Sequence[Call] | None:
        if len(top) == 1:
            return None
        return self._sums(top, bottom[0].grad) if propagate_down[0] else []


@register("Silence")
class Silence(Layer):
    """Caffe's Silence: uses blobs up, so that they are no outputs; their gradient is zero."""

    reads = ()
    bottoms = Arity(1, None)
    tops = Arity(0)

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        for blob, wanted in zip(bottom, propagate_down):
            if wanted:
                blob.zero_grad()


@register("Filter")
class Filter(Layer):
    """Caffe's Filter: of each bottom the items whose selector, the last bottom, is not 0, in order.

    The tops have all N items when the net is built, as many as were chosen (perhaps 0) from then on.

    Raises:
        LayerError: the selector is not (N) or (N, 1, ...) for the N items of every bottom.
    """

    reads = ()
    bottoms = Arity(2, None)
    tops = Arity(1, None)
    reshape_reads_values = True
    saves = "the numbers of the chosen items"

    def setup(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        self.check(
            len(top) == len(bottom) - 1,
            f"{len(bottom)} bottoms, the last one the selector, need {len(bottom) - 1} tops, not {len(top)}",
        )
        self._built = False

    def reshape(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        last = len(bottom) - 1
        selector = bottom[last]
        self.check(
            selector.dims and selector.count == selector.dims[0],
            f"Selector blob dimensions must be singletons (1), except the first: {shown(self, bottom, last)}",
        )
        for i in range(last):
            self.check(
                bottom[i].dims and bottom[i].dims[0] == selector.dims[0],
                "Each bottom should have the same 0th dimension as the selector blob: "
                f"{shown(self, bottom, i)}, {shown(self, bottom, last)}",
            )
        self._chosen = selector.value.reshape(-1).nonzero().reshape(-1)
        rows = self._chosen.numel() if self._built else selector.dims[0]
        self._built = True
        for blob, source in zip(top, bottom):
            blob.resize((rows, *source.dims[1:]))

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        self.saved = self._chosen
        for blob, source in zip(top, bottom):
            blob.put(source.value.index_select(0, self._chosen))

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        self.check(
            not propagate_down[-1], "cannot backpropagate to the selector: set propagate_down: false for it"
        )
        chosen = self.recall(torch.Tensor)
        for blob, source, wanted in zip(top, bottom, propagate_down):
            if wanted:
                source.put_grad(torch.zeros_like(source.value).index_copy_(0, chosen, blob.grad))


@register("BatchReindex")
class BatchReindex(Layer):
    """Caffe's BatchReindex: item i of the top is item `bottom[1][i]` of bottom 0; repeats add up backward.

    Raises:
        LayerError: bottom 1 has not one axis, or an index names no item.
    """

    reads = ()
    bottoms = Arity(2)
    tops = Arity(1)
    saves = "the indices"

    def reshape(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        self.check(bottom[0].dims, f"{shown(self, bottom, 0)} has no items to choose from")
        self.check(
            len(bottom[1].dims) == 1, f"the indices must be a blob of one axis, not {shown(self, bottom, 1)}"
        )
        top[0].resize((bottom[1].count, *bottom[0].dims[1:]))

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        items = bottom[0].dims[0]
        index = bottom[1].value
        wrong = index[~((index >= 0) & (index < items))]
        if wrong.numel():
            self.fail(
                f"index {float(wrong[0]):g} in {shown(self, bottom, 1)} is out of range: "
                f"{shown(self, bottom, 0)} has items 0 to {items - 1}"
            )
        self.saved = index.long()
        top[0].put(bottom[0].value.index_select(0, self.saved))

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        self.check(
            not propagate_down[1], "cannot backpropagate to the indices: set propagate_down: false for them"
        )
        if propagate_down[0]:
            bottom[0].put_grad(
                torch.zeros_like(bottom[0].value).index_add_(0, self.recall(torch.Tensor), top[0].grad)
            )
