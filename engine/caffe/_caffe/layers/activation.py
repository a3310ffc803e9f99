"""Element-wise activations, and Softmax. Tops have the bottom's shape.

x, y: bottom and top data; dx, dy: their diffs. Sources: Caffe's *_layer.cpp of the same names. A layer
may run in place. Where Caffe keeps x for the gradient, so do we; where it does not, the gradient is taken
at y as Caffe takes it, which is not the derivative for Power, Log, BNLL, Clip, and ReLU and ELU with a
negative factor.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from ...proto.caffe_pb2 import ExpParameter, FillerParameter, LogParameter
from ..blob import Blob
from ..layer import Arity, Call, Layer
from ..registry import register

Blobs = Sequence[Blob]

_relu_backward = torch.ops.aten.threshold_backward.grad_input


class ElementWise(Layer):
    """y = function(x), dx = gradient(x, y, dy), all of one shape.

    In place, `gradient` is given y for x unless `needs_input` is set.
    """

    bottoms = Arity(1)
    tops = Arity(1)
    needs_input = False

    def function(self, x: Tensor) -> Tensor:
        """A new tensor: y."""
        self.fail("defines no function()")

    def gradient(self, x: Tensor, y: Tensor, dy: Tensor) -> Tensor:
        """A new tensor: dx."""
        self.fail("has no gradient")

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        top[0].resize(bottom[0].dims)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        x = bottom[0].value
        self._keep(x, bottom, top)
        top[0].put(self.function(x))

    def _keep(self, x: Tensor, bottom: Blobs, top: Blobs) -> None:
        wanted = self.needs_input and self.wants_gradient and top[0] is bottom[0]
        self.saved = x.clone() if wanted else None

    def _input(self, bottom: Blobs, top: Blobs) -> Tensor:
        overwritten = self.needs_input and top[0] is bottom[0]
        return self.recall(Tensor) if overwritten else bottom[0].value

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[0]:
            bottom[0].put_grad(self.gradient(self._input(bottom, top), top[0].value, top[0].grad))


@register("ReLU")
class ReLU(ElementWise):
    """y = max(x, 0) + s min(x, 0); dx = dy where x > 0, else s dy; written into the blobs' own memory.

    In place the signs are those of y: with s < 0 dx is dy wherever x is not 0.
    """

    reads = ("relu_param",)
    without_effect = ("relu_param.engine",)

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        self.slope = self.layer_param.relu_param.negative_slope

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        y = top[0].value
        self._rectify(bottom[0].value, y)()
        top[0].put(y)

    def _rectify(self, x: Tensor, y: Tensor) -> Call:
        if self.slope:
            return partial(torch.ops.aten.leaky_relu.out, x, self.slope, out=y)
        return partial(torch.clamp_min, x, 0, out=y)

    def forward_calls(self, bottom: Blobs, top: Blobs) -> Sequence[Call]:
        return [self._rectify(bottom[0].value, top[0].value)]

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[0]:
            self._pass_on(top, bottom)()
            bottom[0].put_grad(bottom[0].grad)

    def _pass_on(self, top: Blobs, bottom: Blobs) -> Call:
        x, dy, dx = bottom[0].value, top[0].grad, bottom[0].grad
        if self.slope:
            backward = torch.ops.aten.leaky_relu_backward.grad_input
            return partial(backward, dy, x, self.slope, False, grad_input=dx)
        return partial(_relu_backward, dy, x, 0, grad_input=dx)

    def backward_calls(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> Sequence[Call]:
        return [self._pass_on(top, bottom)] if propagate_down[0] else []


@register("PReLU")
class PReLU(ElementWise):
    """y = max(x, 0) + a min(x, 0) with a learned slope a per channel (axis 1), or one for all.

    Param 0: (C,), or a scalar if `channel_shared`; 0.25 unless there is a filler.
    """

    reads = ("prelu_param",)
    needs_input = True
    saves = "in place, the input"

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        param = self.layer_param.prelu_param
        self._check_axes(bottom[0])
        self.shared = param.channel_shared
        if not self.blobs:
            default = FillerParameter(type="constant", value=0.25)
            dims = () if self.shared else bottom[0].dims[1:2]
            self.fill_param(0, dims, param.filler if param.HasField("filler") else default)
        self._check_slopes(bottom[0])

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        self._check_axes(bottom[0])
        self._check_slopes(bottom[0])
        super().reshape(bottom, top)

    def _check_axes(self, bottom: Blob) -> None:
        self.check(len(bottom.dims) >= 2, f"the bottom needs at least 2 axes; it is {bottom.dims}")

    def _check_slopes(self, bottom: Blob) -> None:
        expected = 1 if self.shared else bottom.dims[1]
        self.check(
            self.blobs[0].count == expected,
            f"param 0 has shape {self.blobs[0].dims}, but a bottom of {bottom.dims} "
            f"{'with channel_shared ' if self.shared else ''}needs {expected} slope(s)",
        )

    def function(self, x: Tensor) -> Tensor:
        return F.prelu(x, self.blobs[0].value.view(-1))

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        x, dy = self._input(bottom, top), top[0].grad
        positive = torch.ops.aten.threshold_backward(dy, x, 0)
        negative = dy - positive
        if self.param_flags[0]:
            axes = [axis for axis in range(x.ndim) if self.shared or axis != 1]
            self.blobs[0].add_grad((negative * x).sum(axes))
        if propagate_down[0]:
            slopes = self.blobs[0].value.view(-1, *[1] * (x.ndim - 2))
            bottom[0].put_grad(positive.addcmul_(negative, slopes))


@register("ELU")
class ELU(ElementWise):
    """y = x where x > 0, else alpha (e^x - 1); dx = dy where x > 0, else dy (alpha + y).

    In place the signs are those of y: with alpha < 0 dx is dy wherever x is not 0.
    """

    reads = ("elu_param",)

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        self.alpha = self.layer_param.elu_param.alpha

    def function(self, x: Tensor) -> Tensor:
        return F.elu(x, self.alpha)

    def gradient(self, x: Tensor, y: Tensor, dy: Tensor) -> Tensor:
        value, is_result = (x, False) if self.alpha < 0 else (y, True)
        dx: Tensor = torch.ops.aten.elu_backward(dy, self.alpha, 1, 1, is_result, value)
        return dx


@register("Sigmoid")
class Sigmoid(ElementWise):
    """y = tanh(x/2)/2 + 1/2, as Caffe computes it; dx = dy y (1 - y)."""

    reads = ("sigmoid_param",)
    without_effect = ("sigmoid_param.engine",)

    def function(self, x: Tensor) -> Tensor:
        return (x * 0.5).tanh_().mul_(0.5).add_(0.5)

    def gradient(self, x: Tensor, y: Tensor, dy: Tensor) -> Tensor:
        dx: Tensor = torch.ops.aten.sigmoid_backward(dy, y)
        return dx


@register("TanH")
class TanH(ElementWise):
    """y = tanh(x); dx = dy (1 - y^2)."""

    reads = ("tanh_param",)
    without_effect = ("tanh_param.engine",)

    def function(self, x: Tensor) -> Tensor:
        return torch.tanh(x)

    def gradient(self, x: Tensor, y: Tensor, dy: Tensor) -> Tensor:
        dx: Tensor = torch.ops.aten.tanh_backward(dy, y)
        return dx


@register("Swish")
class Swish(ElementWise):
    """y = x g with g = sigmoid(beta x); dx = dy (beta y + g (1 - beta y))."""

    reads = ("swish_param",)
    needs_input = True
    saves = "in place, the input"

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        self.beta = self.layer_param.swish_param.beta

    def function(self, x: Tensor) -> Tensor:
        return torch.sigmoid(x * self.beta).mul_(x)

    def gradient(self, x: Tensor, y: Tensor, dy: Tensor) -> Tensor:
        gate, scaled = torch.sigmoid(x * self.beta), y * self.beta
        return dy * (scaled + gate * (1 - scaled))


@register("BNLL")
class BNLL(ElementWise):
    """y = log(1 + e^x), without overflow ("binomial normal log likelihood", softplus); dx = dy sigmoid(x).

    In place dx is dy sigmoid(y).
    """

    reads = ()

    def function(self, x: Tensor) -> Tensor:
        return F.softplus(x)

    def gradient(self, x: Tensor, y: Tensor, dy: Tensor) -> Tensor:
        return torch.sigmoid(x).mul_(dy)


@register("Clip")
class Clip(ElementWise):
    """y = max(min, min(x, max)), so min for NaN; dx = dy inside, both ends included, else 0.

    In place every y is inside: dx is dy.
    """

    reads = ("clip_param",)

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        self.least, self.most = self.layer_param.clip_param.min, self.layer_param.clip_param.max

    def function(self, x: Tensor) -> Tensor:
        y = x.clamp(max=self.most)
        return torch.where(y > self.least, y, self.least)

    def gradient(self, x: Tensor, y: Tensor, dy: Tensor) -> Tensor:
        return dy * ((x >= self.least) & (x <= self.most))


@register("Threshold")
class Threshold(ElementWise):
    """y = 1 where x > threshold, else 0. There is no backward."""

    reads = ("threshold_param",)

    def function(self, x: Tensor) -> Tensor:
        return (x > self.layer_param.threshold_param.threshold).to(x.dtype)

    def gradient(self, x: Tensor, y: Tensor, dy: Tensor) -> Tensor:
        self.fail("is a step: it has no gradient; put `propagate_down: false` into this layer")


@register("AbsVal")
class AbsVal(ElementWise):
    """y = |x|; dx = dy sign(x), 0 at 0. Not in place."""

    reads = ()

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        self.check(top[0] is not bottom[0], "does not run in place: give its top a name of its own")

    def function(self, x: Tensor) -> Tensor:
        return x.abs()

    def gradient(self, x: Tensor, y: Tensor, dy: Tensor) -> Tensor:
        return x.sign().mul_(dy)


class _FactorFirst(ElementWise):
    """dx = factor(x, y) dy, where Caffe writes the factor into dx and then multiplies it by dy.

    In place the two diffs are one, so that dx is the square of the factor, which is taken at y.
    """

    def factor(self, x: Tensor, y: Tensor) -> Tensor:
        """What dy is multiplied by; a scalar if it is the same everywhere."""
        self.fail("defines no factor()")

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[0]:
            factor = self.factor(bottom[0].value, top[0].value)
            dy = factor.expand(top[0].dims) if top[0] is bottom[0] else top[0].grad
            bottom[0].put_grad(dy * factor)


@register("Power")
class Power(_FactorFirst):
    """y = (shift + scale x)^power.

    The factor of dy as Caffe computes it is power scale y / (shift + scale x): NaN where the base is 0,
    unless power is 1 or 2. With power or scale 0, y is constant and dx is 0. Do not train through it in
    place: there Caffe's gradient is the square of the factor, taken at y, whatever dy is.
    """

    reads = ("power_param",)

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        param = self.layer_param.power_param
        self.power, self.scale, self.shift = param.power, param.scale, param.shift

    def _base(self, x: Tensor) -> Tensor:
        return (x * self.scale).add_(self.shift)

    def function(self, x: Tensor) -> Tensor:
        if self.power == 0:
            return torch.ones_like(x)
        if self.scale == 0:
            return torch.full_like(x, self.shift).pow_(self.power)
        base = self._base(x)
        return base if self.power == 1 else base.pow_(self.power)

    def factor(self, x: Tensor, y: Tensor) -> Tensor:
        constant = self.power * self.scale
        if constant == 0 or self.power == 1:
            return x.new_full((), constant)
        if self.power == 2:
            return self._base(x).mul_(constant)
        if self.shift == 0:
            return (y / x).mul_(self.power)
        return (y / self._base(x)).mul_(constant)


class _Logarithmic(ElementWise):
    """What Exp and Log share: the base, -1 meaning e."""

    def _log_base(self, param: ExpParameter | LogParameter) -> float:
        self.check(
            param.base == -1 or param.base > 0, f"base must be -1 (for e) or positive, not {param.base:g}"
        )
        return 1.0 if param.base == -1 else math.log(param.base)


@register("Exp")
class Exp(_Logarithmic):
    """y = base^(shift + scale x), computed as base^shift e^(ln base scale x); dx = dy y scale ln base."""

    reads = ("exp_param",)

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        param = self.layer_param.exp_param
        log_base = self._log_base(param)
        self.check(math.isfinite(log_base), f"the logarithm of base {param.base:g} is not finite")
        self.inner = log_base * param.scale
        self.outer = torch.tensor(log_base * param.shift, dtype=torch.float64).exp().item()

    def function(self, x: Tensor) -> Tensor:
        y = torch.exp(x if self.inner == 1 else x * self.inner)
        return y if self.outer == 1 else y.mul_(self.outer)

    def gradient(self, x: Tensor, y: Tensor, dy: Tensor) -> Tensor:
        dx = dy * y
        return dx if self.inner == 1 else dx.mul_(self.inner)


@register("Log")
class Log(_Logarithmic, _FactorFirst):
    """y = log_base(shift + scale x); dx = dy scale / (ln base (shift + scale x)).

    Do not train through it in place: there Caffe's gradient is the square of the factor of dy, with y
    for x, whatever dy is.
    """

    reads = ("log_param",)

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        param = self.layer_param.log_param
        self.log_base = self._log_base(param)
        self.check(
            math.isfinite(self.log_base) and self.log_base != 0,
            f"there is no logarithm to base {param.base:g}: 1 / log(base) is not a number",
        )
        self.scale, self.shift = param.scale, param.shift

    def _base(self, x: Tensor) -> Tensor:
        return (x * self.scale).add_(self.shift)

    def function(self, x: Tensor) -> Tensor:
        y = self._base(x).log_()
        return y if self.log_base == 1 else y.mul_(1 / self.log_base)

    def factor(self, x: Tensor, y: Tensor) -> Tensor:
        return self._base(x).reciprocal_().mul_(self.scale / self.log_base)


@register("Softmax")
class Softmax(ElementWise):
    """y = e^x / sum e^x along `axis`, shifted by the maximum; dx = y (dy - sum dy y).

    Like Caffe's, it computes the bottom's diff whenever it runs backward.
    """

    reads = ("softmax_param",)
    without_effect = ("softmax_param.engine",)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        super().reshape(bottom, top)
        self.axis = bottom[0].axis(self.layer_param.softmax_param.axis)

    def function(self, x: Tensor) -> Tensor:
        return torch.softmax(x, self.axis)

    def forward_calls(self, bottom: Blobs, top: Blobs) -> Sequence[Call] | None:
        if top[0] is bottom[0]:
            return None
        return [partial(torch.softmax, bottom[0].value, self.axis, out=top[0].value)]

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        super().backward(top, [True], bottom)

    def gradient(self, x: Tensor, y: Tensor, dy: Tensor) -> Tensor:
        dx: Tensor = torch.ops.aten._softmax_backward_data(dy, y, self.axis, y.dtype)
        return dx
