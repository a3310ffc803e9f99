"""Scale, Bias, Parameter: learned numbers broadcast over a blob, or handed out as one.

The operand (scale or bias) covers the bottom's axes `axis` to `axis` + its own number of axes and is
broadcast over the others. Sources: Caffe's scale_layer.cpp, bias_layer.cpp, parameter_layer.cpp.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ...proto.caffe_pb2 import BiasParameter, FillerParameter, ScaleParameter
from ..blob import Blob
from ..layer import Arity, Layer
from ..registry import register

Blobs = Sequence[Blob]


class _Broadcast(Layer):
    """What Scale and Bias share: the operand is the second bottom, or param 0."""

    bottoms = Arity(1, 2)
    tops = Arity(1)
    span: tuple[int, int]  # the first axis of the operand, and the one after its last

    def _operand(self, bottom: Blobs) -> Blob:
        return bottom[1] if len(bottom) > 1 else self.blobs[0]

    def _operand_dims(self, bottom: Blobs, param: BiasParameter | ScaleParameter) -> tuple[int, ...]:
        """The shape of the operand as a param: `num_axes` of the bottom's dims, from `axis`."""
        dims, axis, count = bottom[0].dims, bottom[0].axis(param.axis), param.num_axes
        self.check(count >= -1, f"num_axes must be -1 (all from axis on) or more, not {count}")
        if count == -1:
            return dims[axis:]
        self.check(
            axis + count <= len(dims),
            f"axis {axis} and num_axes {count} extend past the bottom's shape {dims}",
        )
        return dims[axis : axis + count]

    def _reshape(self, bottom: Blobs, top: Blobs, field_axis: int) -> None:
        dims, operand = bottom[0].dims, self._operand(bottom).dims
        axis = bottom[0].axis(field_axis) if operand else 0
        end = axis + len(operand)
        self.check(
            dims[axis:end] == operand,
            f"bottom[0] is {dims} and the {'second bottom' if len(bottom) > 1 else 'param'} {operand}; "
            f"it must equal bottom[0]'s dims from axis {axis} on, {dims[axis:end]}",
        )
        self.span = axis, end
        top[0].resize(dims)

    def _spread(self, operand: Blob, axes: int) -> Tensor:
        """The operand, with axes of size 1 around its own."""
        axis, end = self.span
        return operand.value.view((1,) * axis + operand.dims + (1,) * (axes - end))

    def _total(self, tensor: Tensor) -> Tensor:
        """The sum over all values that the same number of the operand met, in the operand's shape."""
        axis, end = self.span
        others = [*range(axis), *range(end, tensor.ndim)]
        return tensor.sum(others) if others else tensor


@register("Bias")
class Bias(_Broadcast):
    """y = x + b; b is the second bottom or param 0 (`filler`, else 0)."""

    reads = ("bias_param",)

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        if len(bottom) == 1 and not self.blobs:
            param = self.layer_param.bias_param
            self.fill_param(0, self._operand_dims(bottom, param), param.filler)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        self._reshape(bottom, top, self.layer_param.bias_param.axis)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        x = bottom[0].value
        b = self._spread(self._operand(bottom), x.ndim)
        top[0].put(torch.add(x, b, out=top[0].value))

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        dy = top[0].grad
        if propagate_down[0] and bottom[0] is not top[0]:
            bottom[0].put_grad(bottom[0].grad.copy_(dy))
        if len(bottom) > 1:
            if propagate_down[1]:
                bottom[1].put_grad(self._total(dy))
        elif self.param_flags[0]:
            self.blobs[0].add_grad(self._total(dy))


@register("Scale")
class Scale(_Broadcast):
    """y = x s, plus a bias with `bias_term`; s is the second bottom or param 0 (`filler`, else 1).

    The bias is the last param, of the shape of s (`bias_filler`, else 0). The gradient of s as a param
    accumulates, except for Caffe's defect: when the dims before `axis` multiply to 1 (batch size 1) and
    s is not a single number over several values, it is overwritten.
    """

    reads = ("scale_param",)
    saves = "in place, the input"

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        param = self.layer_param.scale_param
        if len(bottom) == 1 and not self.blobs:
            default = FillerParameter(type="constant", value=1)
            dims = self._operand_dims(bottom, param)
            self.fill_param(0, dims, param.filler if param.HasField("filler") else default)
        if not param.bias_term:
            return
        index = 2 - len(bottom)
        self.fill_param(index, self._operand(bottom).dims, param.bias_filler)

    @property
    def _bias(self) -> Blob | None:
        return self.blobs[-1] if self.layer_param.scale_param.bias_term else None

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        self._reshape(bottom, top, self.layer_param.scale_param.axis)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        keep = top[0] is bottom[0] and self.wants_gradient and (len(bottom) > 1 or self.param_flags[0])
        self.saved = bottom[0].taken() if keep else None
        x = bottom[0].value
        s = self._spread(self._operand(bottom), x.ndim)
        y = torch.mul(x, s, out=None if keep else top[0].value)
        if self._bias is not None:
            y.add_(self._spread(self._bias, x.ndim))
        top[0].put(y)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        dy, scale = top[0].grad, self._operand(bottom)
        if self._bias is not None and self.param_flags[-1]:
            self._bias.add_grad(self._total(dy))
        as_param = len(bottom) == 1
        if self.param_flags[0] if as_param else propagate_down[1]:
            x = self.recall(Tensor) if top[0] is bottom[0] else bottom[0].value
            ds = self._total(dy * x)
            if as_param and not self._overwrites(x):
                scale.add_grad(ds)
            else:
                scale.put_grad(ds)
        if propagate_down[0]:
            s = self._spread(scale, dy.ndim)
            bottom[0].put_grad(torch.mul(dy, s, out=bottom[0].grad))

    def _overwrites(self, x: Tensor) -> bool:
        # Caffe: scale_layer.cpp Backward writes its sums straight into the diff when there is one of them.
        axis, end = self.span
        return x.shape[:axis].numel() == 1 and (x.shape[axis:end].numel() > 1 or x.shape[end:].numel() == 1)


@register("Parameter")
class Parameter(Layer):
    """A blob of learned numbers as a top: `parameter_param.shape`, zero at first.

    Top and param share data and diff, so the gradient is overwritten, not accumulated, as in Caffe.
    """

    tops_are_params = True
    reads = ("parameter_param",)
    bottoms = Arity(0)
    tops = Arity(1)

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        dims = tuple(self.layer_param.parameter_param.shape.dim)
        if not self.blobs:
            self.fill_param(0, dims, None)
        self.check(
            self.blobs[0].count == math.prod(dims),
            f"parameter_param.shape is {dims}, but the blob in the prototxt {self.blobs[0].dims}",
        )

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        top[0].resize(self.layer_param.parameter_param.shape.dim)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        top[0].share_data(self.blobs[0])
        top[0].share_diff(self.blobs[0])
