"""InnerProduct and Embed.

Legend: M items of K features in, N = `num_output` features out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import torch

from ...proto.caffe_pb2 import EmbedParameter, InnerProductParameter
from .. import rounding
from ..blob import Blob
from ..layer import Arity, Call, Layer
from ..registry import register


class _Dense(Layer):
    """A weight and an optional bias."""

    bottoms = tops = Arity(1)
    any_shape = True

    def _make_params(
        self, weight: Sequence[int], bias: bool, fillers: InnerProductParameter | EmbedParameter
    ) -> None:
        count = 1 + bias
        self.check(
            len(self.blobs) in (0, count), f"the prototxt has {len(self.blobs)} blobs, expected {count}"
        )
        self.fill_param(0, weight, fillers.weight_filler)
        if bias:
            self.fill_param(1, (fillers.num_output,), fillers.bias_filler)

    def _bias(self) -> torch.Tensor | None:
        """(N,)"""
        if len(self.blobs) < 2:
            return None
        bias = self.blobs[1]
        return bias.value if len(bias.dims) == 1 else bias.value_as((bias.count,))

    def _bias_backward(self, dy: torch.Tensor) -> None:
        if len(self.blobs) > 1 and self.param_flags[1]:
            bias = self.blobs[1]
            bias.add_grad(torch.sum(dy, 0, out=bias.blank_grad()))


@register("InnerProduct")
class InnerProduct(_Dense):
    """y = x W' + b, where x is the axes from `axis` on as one vector of K.

    Top: the axes before `axis`, then N. Weight (N, K), or (K, N) with `transpose`; bias (N).
    Source: Caffe's inner_product_layer.
    """

    reads = ("inner_product_param",)
    features: int

    def multiply_adds(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> int:
        axis = bottom[0].axis(self.layer_param.inner_product_param.axis)
        return math.prod(bottom[0].dims[:axis]) * self.blobs[0].count

    def setup(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        param = self.layer_param.inner_product_param
        self.check(param.num_output > 0, "num_output must be given and positive")
        self.features = math.prod(bottom[0].dims[bottom[0].axis(param.axis) :])
        self._shape, self._transposed = (param.num_output, self.features), param.transpose
        self._stored = self._shape[::-1] if param.transpose else self._shape
        self._make_params(self._stored, param.bias_term, param)

    def reshape(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        param = self.layer_param.inner_product_param
        dims, axis = bottom[0].dims, bottom[0].axis(param.axis)
        found = math.prod(dims[axis:])
        self.check(
            found == self.features,
            f"the weights are for {self.features} inputs; the bottom {dims} has {found} from axis {axis} on",
        )
        top[0].resize((*dims[:axis], param.num_output))
        items = math.prod(dims[:axis])
        self._x, self._y = (items, self.features), (items, param.num_output)

    def _weight(self, turned: bool = False) -> torch.Tensor:
        """(N, K), or (K, N) if `turned`"""
        weight, shape = self.blobs[0], self._stored
        return weight.value_as(shape) if turned == self._transposed else weight.turned_value(shape)

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        x = bottom[0].value_as(self._x)
        if self.rounds:
            product, bias = _rounded_product(x, self._weight(turned=True)), self._bias()
            top[0].put(product if bias is None else product + bias)
            return
        if top[0].data_memory is bottom[0].data_memory:
            x = x.clone()
        top[0].put(self._product(x, top)())

    def _product(self, x: torch.Tensor, top: Sequence[Blob]) -> Callable[[], torch.Tensor]:
        y, weight, bias = top[0].value_as(self._y), self._weight(turned=True), self._bias()
        if bias is None:
            return partial(torch.mm, x, weight, out=y)
        return partial(torch.addmm, bias, x, weight, out=y)

    def forward_calls(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> Sequence[Call] | None:
        if self.rounds or top[0].data_memory is bottom[0].data_memory:
            return None
        return [self._product(bottom[0].value_as(self._x), top)]

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        dy = top[0].grad_as(self._y)
        if self.param_flags[0]:
            weight, (left, right) = self.blobs[0], self._weight_factors(bottom, top)
            if self.rounds:
                weight.add_grad(_rounded_product(left, right))
            else:
                weight.add_grad(_outer(left, right, weight.blank_grad())())
        self._bias_backward(dy)
        if propagate_down[0] and self.rounds:
            bottom[0].put_grad(_rounded_product(dy, self._weight()))
        elif propagate_down[0]:
            target = None if bottom[0].diff_memory is top[0].diff_memory else bottom[0].grad_as(self._x)
            bottom[0].put_grad(torch.mm(dy, self._weight(), out=target))

    def _weight_factors(
        self, bottom: Sequence[Blob], top: Sequence[Blob]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """What the weight's gradient is the product of."""
        if self._transposed:
            return bottom[0].turned_value(self._x), top[0].grad_as(self._y)
        return top[0].turned_grad(self._y), bottom[0].value_as(self._x)

    def backward_calls(
        self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]
    ) -> Sequence[Call] | None:
        shared = bottom[0].diff_memory is top[0].diff_memory
        if self.rounds or (propagate_down[0] and shared) or any(len(blob.dims) > 2 for blob in self.blobs):
            return None
        dy = top[0].grad_as(self._y)
        calls: list[Call] = []
        if self.param_flags[0]:
            calls.append(_outer(*self._weight_factors(bottom, top), self.blobs[0].grad_as(self._stored)))
        if len(self.blobs) > 1 and self.param_flags[1]:
            calls.append(partial(torch.sum, dy, 0, out=self.blobs[1].grad))
        if propagate_down[0]:
            calls.append(partial(torch.mm, dy, self._weight(), out=bottom[0].grad_as(self._x)))
        return calls


def _outer(left: torch.Tensor, right: torch.Tensor, out: torch.Tensor | None) -> Callable[[], torch.Tensor]:
    """left (A, M) times right (M, B); where M is 1 by a multiplication, which takes less time."""
    return partial(torch.mul if left.shape[1] == 1 else torch.mm, left, right, out=out)


def _rounded_product(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    return rounding.widened(rounding.rounded(left) @ rounding.rounded(right))


@register("Embed")
class Embed(_Dense):
    """Row x of a table of K = `input_dim` vectors of N, plus a bias; x is truncated to an integer.

    Top: the bottom's axes, then N. Weight (K, N), bias (N). The indices get no gradient.
    Source: Caffe's embed_layer, which does not check the range of the indices.
    """

    reads = ("embed_param",)

    def setup(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        param = self.layer_param.embed_param
        self.check(param.num_output > 0, "num_output must be given and positive")
        self.check(param.input_dim > 0, "input_dim must be given and positive")
        self._table = param.input_dim, param.num_output
        self._make_params(self._table, param.bias_term, param)

    def reshape(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        top[0].resize((*bottom[0].dims, self.layer_param.embed_param.num_output))

    def _rows(self, bottom: Sequence[Blob]) -> torch.Tensor:
        rows, limit = bottom[0].value.reshape(-1).long(), self.layer_param.embed_param.input_dim
        wrong = (rows < 0) | (rows >= limit)
        if wrong.any():
            self.fail(f"index {int(rows[wrong][0])} is not in 0 to {limit - 1} (input_dim {limit})")
        return rows

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        bias = self._bias()
        values = self.blobs[0].value.view(self._table)[self._rows(bottom)]
        top[0].put(values if bias is None else values + bias)

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        self.check(not propagate_down[0], "cannot backpropagate to the indices; set propagate_down: false")
        dy = top[0].grad.view(-1, self.layer_param.embed_param.num_output)
        if self.param_flags[0]:
            grad = dy.new_zeros(self._table)
            self.blobs[0].add_grad(grad.index_add_(0, self._rows(bottom), dy))
        self._bias_backward(dy)
