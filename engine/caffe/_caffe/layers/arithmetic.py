"""Eltwise: several blobs into one; Reduction: the last axes into one number.

Sources: Caffe's eltwise_layer.cpp, reduction_layer.cpp.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce

import torch
from torch import Tensor

from ...proto.caffe_pb2 import EltwiseParameter, ReductionParameter
from ..blob import Blob
from ..layer import Arity, Layer
from ..registry import register

Blobs = Sequence[Blob]


@register("Eltwise")
class Eltwise(Layer):
    """SUM (weighted by `coeff`), PROD or MAX of bottoms of one shape.

    A tie of the MAX between bottoms 0 and 1 gives the gradient to bottom 1; a later bottom must be
    strictly greater. PROD's gradient is the product of the others; without `stable_prod_grad` it is
    y / x, NaN where x is 0. Unlike Caffe, in place is right.
    """

    reads = ("eltwise_param",)
    bottoms = Arity(2, None)
    tops = Arity(1)
    saves = "MAX: which bottom each maximum is from; PROD in place: the first input"

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        param = self.layer_param.eltwise_param
        self.operation = param.operation
        count = len(param.coeff)
        self.check(
            count in (0, len(bottom)),
            f"eltwise_param.coeff: one per bottom is needed, {len(bottom)}, not {count}",
        )
        self.check(
            not (self.operation == EltwiseParameter.PROD and count),
            "eltwise_param.coeff: there are coefficients only for SUM, not for PROD",
        )
        self.coeffs = list(param.coeff) or [1.0] * len(bottom)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        for index, blob in enumerate(bottom):
            self.check(
                blob.dims == bottom[0].dims,
                f"bottoms must have one shape: bottom[0] is {bottom[0].dims}, bottom[{index}] {blob.dims}",
            )
        top[0].resize(bottom[0].dims)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        if self.operation == EltwiseParameter.SUM:
            self._sum(bottom, top)
        elif self.operation == EltwiseParameter.PROD:
            self._product(bottom, top)
        else:
            self._maximum(bottom, top)

    def _sum(self, bottom: Blobs, top: Blobs) -> None:
        x, coeff, y = bottom[0].value, self.coeffs[0], top[0].value
        if coeff == 1:
            torch.add(x, bottom[1].value, alpha=self.coeffs[1], out=y)
        else:
            torch.mul(x, coeff, out=y).add_(bottom[1].value, alpha=self.coeffs[1])
        for blob, coeff in zip(bottom[2:], self.coeffs[2:]):
            y.add_(blob.value, alpha=coeff)
        top[0].put(y)

    def _product(self, bottom: Blobs, top: Blobs) -> None:
        keep = self.wants_gradient and top[0] is bottom[0]
        self.saved = bottom[0].taken() if keep else None
        y = torch.mul(bottom[0].value, bottom[1].value, out=None if keep else top[0].value)
        for blob in bottom[2:]:
            y.mul_(blob.value)
        top[0].put(y)

    def _maximum(self, bottom: Blobs, top: Blobs) -> None:
        self.saved = self._find_winner(bottom) if self.wants_gradient else None
        y = torch.maximum(bottom[0].value, bottom[1].value, out=top[0].value)
        for blob in bottom[2:]:
            torch.maximum(y, blob.value, out=y)
        top[0].put(y)

    def _find_winner(self, bottom: Blobs) -> Tensor:
        """The index of the bottom that each maximum is from, as a float: comparisons are fastest so."""
        inputs = [blob.value for blob in bottom]
        winner = torch.ones_like(inputs[0]).sub_(inputs[0].clone().gt_(inputs[1]))
        highest = torch.maximum(inputs[0], inputs[1]) if len(inputs) > 2 else inputs[0]
        for index, x in enumerate(inputs[2:], 2):
            winner.masked_fill_(x > highest, index)
            torch.maximum(highest, x, out=highest)
        return winner

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        dy = top[0].grad
        # Bottom 0 last: in place its diff is the top's.
        for index in reversed(range(len(bottom))):
            if not propagate_down[index]:
                continue
            factor: Tensor | float
            if self.operation == EltwiseParameter.PROD:
                factor = self._product_of_others(index, bottom, top)
            elif self.operation == EltwiseParameter.MAX:
                factor = self._winner(bottom, top).clone().eq_(index)
            else:
                factor = self.coeffs[index]
            bottom[index].put_grad(torch.mul(dy, factor, out=bottom[index].grad))

    def _winner(self, bottom: Blobs, top: Blobs) -> Tensor:
        lost = self.saved is None and top[0] is not bottom[0]
        return self._find_winner(bottom) if lost else self.recall(Tensor)

    def _product_of_others(self, index: int, bottom: Blobs, top: Blobs) -> Tensor:
        inputs = [blob.value for blob in bottom]
        if top[0] is bottom[0]:
            inputs[0] = self.recall(Tensor)
        if not self.layer_param.eltwise_param.stable_prod_grad:
            return top[0].value / inputs[index]
        return reduce(torch.mul, inputs[:index] + inputs[index + 1 :])


@register("Reduction")
class Reduction(Layer):
    """coeff times the SUM, MEAN, ASUM (of |x|) or SUMSQ (of x^2) over all axes from `axis` on."""

    reads = ("reduction_param",)
    bottoms = Arity(1)
    tops = Arity(1)

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        self.operation = self.layer_param.reduction_param.operation
        self.check(top[0] is not bottom[0], "does not run in place: give its top a name of its own")

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        param = self.layer_param.reduction_param
        dims = bottom[0].dims
        axis = bottom[0].axis(param.axis)
        top[0].resize(dims[:axis])
        size = math.prod(dims[axis:])
        self.rows = top[0].count, size
        self.factor = param.coeff
        if self.operation == ReductionParameter.MEAN:
            self.factor = param.coeff / size if size else math.nan

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        x = bottom[0].value.reshape(self.rows)
        if self.operation == ReductionParameter.ASUM:
            x = x.abs()
        elif self.operation == ReductionParameter.SUMSQ:
            x = x.square()
        top[0].put(x.sum(1).mul_(self.factor))

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if not propagate_down[0]:
            return
        x = bottom[0].value
        dy = top[0].grad.view(*top[0].dims, *[1] * (x.ndim - len(top[0].dims))) * self.factor
        if self.operation == ReductionParameter.ASUM:
            dx = x.sign().mul_(dy)
        elif self.operation == ReductionParameter.SUMSQ:
            dx = x * (2 * dy)
        else:
            dx = dy.expand_as(x)
        bottom[0].put_grad(dx)
