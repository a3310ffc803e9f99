"""Convolution, Deconvolution, Im2col.

Legend: N is the product of the axes before `axis`, C the channels at `axis`, every axis after it is
spatial (any number of them, also none); O is `num_output`, G is `group`, K the size of a window.
Weights are (O, C/G, kernel...) for Convolution and (C, O/G, kernel...) for Deconvolution, biases (O).
A Convolution is a cross-correlation: the kernel is not flipped.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from .. import rounding
from ..blob import Blob
from ..layer import Arity, Call, Layer
from ..log import log
from ..registry import register
from .columns import ConvWindow, Few, Ints, adjoint, columns, correlate, uncolumns, weight_gradient

#: Multiply-adds of a layer up to which `few_channels` was measured to pay.
_FEW_ADDS = 32_000_000


class _WindowLayer(Layer):
    """Reads the geometry of a `convolution_param`."""

    reads = ("convolution_param",)
    without_effect = ("convolution_param.engine", "convolution_param.force_nd_im2col")

    channel_axis: int
    window: ConvWindow

    def setup(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        self.channel_axis = bottom[0].axis(self.layer_param.convolution_param.axis)
        self.window = self._read_window(len(bottom[0].dims) - self.channel_axis - 1)

    def _read_window(self, axes: int) -> ConvWindow:
        kernel = self._per_axis("kernel_size", "kernel", axes, None)
        stride = self._per_axis("stride", "stride", axes, 1)
        window = ConvWindow(
            kernel, stride, self._per_axis("pad", "pad", axes, 0), self._per_axis("dilation", None, axes, 1)
        )
        self.check(all(kernel), f"kernel_size must not be 0, is {kernel}")
        self.check(all(stride), f"stride must not be 0, is {stride} (stride_h and stride_w go together)")
        return window

    def _per_axis(self, field: str, prefix: str | None, axes: int, default: int | None) -> Ints:
        """The repeated `field`, or `prefix`_h and `prefix`_w, as one number per spatial axis."""
        param = self.layer_param.convolution_param
        values = tuple(getattr(param, field))
        if prefix and (param.HasField(f"{prefix}_h") or param.HasField(f"{prefix}_w")):
            self.check(axes == 2, f"{prefix}_h and {prefix}_w are for 2 spatial axes; this input has {axes}")
            self.check(not values, f"give either {field} or {prefix}_h and {prefix}_w, not both")
            return getattr(param, f"{prefix}_h"), getattr(param, f"{prefix}_w")
        if not values and default is not None:
            return (default,) * axes
        self.check(
            len(values) in (1, axes),
            f"{field} must be specified once, or once per spatial axis; it is specified {len(values)} "
            f"times and there are {axes} spatial axes",
        )
        return values * axes if len(values) == 1 else values


class _Correlation(_WindowLayer):
    """What Convolution and Deconvolution share: one is the other's adjoint."""

    bottoms = tops = Arity(1, None)
    same_tops = True
    transposed = False

    channels: int
    axes: int
    native: bool
    few_channels: bool
    core: ConvWindow
    torch_args: dict[str, Any]

    def multiply_adds(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> int:
        # Each weight meets every place of the smaller side: tops of a convolution, bottoms of its adjoint.
        axis = self.channel_axis
        sides = bottom if self.transposed else top
        places = sum(math.prod(b.dims[:axis]) * math.prod(b.dims[axis + 1 :]) for b in sides)
        return places * self.blobs[0].count

    def setup(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        super().setup(bottom, top)
        param = self.layer_param.convolution_param
        self.axes = len(bottom[0].dims)
        self.channels = bottom[0].dims[self.channel_axis]
        self.check(param.num_output > 0, "num_output must be given and positive")
        self.check(param.group > 0, "group must be positive")
        for what, count in (("the bottom's channels", self.channels), ("num_output", param.num_output)):
            self.check(
                count % param.group == 0, f"{what} ({count}) must be a multiple of group ({param.group})"
            )
        params = 1 + param.bias_term
        self.check(
            len(self.blobs) in (0, params), f"the prototxt has {len(self.blobs)} blobs, expected {params}"
        )
        out, into = (
            (self.channels, param.num_output) if self.transposed else (param.num_output, self.channels)
        )
        self.fill_param(0, (out, into // param.group, *self.window.kernel), param.weight_filler)
        if param.bias_term:
            self.fill_param(1, (param.num_output,), param.bias_filler)
        # Without spatial axes the layer is a matrix product, which a 1-D kernel of size 1 is as well.
        self.core = core = self.window if self.window.kernel else ConvWindow((1,), (1,), (0,), (1,))
        self.torch_args = {
            "stride": core.stride,
            "padding": core.pad,
            "dilation": core.dilation,
            "transposed": self.transposed,
            "output_padding": (0,) * len(core.kernel),
            "groups": param.group,
        }

    def reshape(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        dims = bottom[0].dims
        self.check(len(dims) == self.axes, f"bottom had {self.axes} axes at set-up, now it is {dims}")
        self.check(
            dims[self.channel_axis] == self.channels,
            f"bottom had {self.channels} channels at set-up, now it is {dims}",
        )
        for i, other in enumerate(bottom):
            self.check(other.dims == dims, f"all bottoms must be of one shape: bottom 0 is {dims}, "
                                           f"bottom {i} is {other.dims}")  # fmt: skip
        size = dims[self.channel_axis + 1 :]
        out = self.window.spread(size) if self.transposed else self.window.placements(size)
        self.check(
            all(n >= 0 for n in out),
            f"kernel {self.window.kernel}, pad {self.window.pad}, dilation {self.window.dilation} do "
            f"not fit the bottom {dims}: the top's spatial size would be {out}",
        )
        for blob in top:
            blob.resize((*dims[: self.channel_axis], self.layer_param.convolution_param.num_output, *out))
        # What torch has no kernel for goes through columns and a matrix product.
        self.native = (
            len(self.window.kernel) <= 3
            and all(self.window.dilation)
            and bottom[0].count > 0
            and top[0].count > 0
            and (self.transposed or not self.window.overhangs(size))
        )
        self.few_channels = self._has_few_channels(bottom, top)

    def _has_few_channels(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> bool:
        """Whether a matrix product over columns takes a CPU less time than oneDNN, which torch prefers.

        That one computes blocks of 16 channels, whatever there is of them. For kernels of up to 3 x 3 torch
        looks at the size itself.
        """
        outputs = self.layer_param.convolution_param.num_output
        return (
            self.native
            and not self.transposed
            and len(self.window.kernel) == 2
            and max(self.window.kernel) > 3
            and self.window.dilation == (1, 1)
            and self.torch_args["groups"] == 1
            and bool(self.channels % 16 or outputs % 16)
            and self.multiply_adds(bottom, top) < _FEW_ADDS
        )

    def _folded(self, tensor: torch.Tensor) -> torch.Tensor:
        """(N, channels, size...), with one spatial axis of 1 where there is none."""
        dims = tensor.shape
        if self.channel_axis == 1 and len(dims) > 2:
            return tensor
        batch = math.prod(dims[: self.channel_axis])
        return tensor.view(batch, dims[self.channel_axis], *(dims[self.channel_axis + 1 :] or (1,)))

    def _weight(self) -> torch.Tensor:
        weight = self.blobs[0].value
        return weight if self.window.kernel else weight.unsqueeze(-1)

    def _bias(self) -> torch.Tensor | None:
        return self.blobs[1].value if len(self.blobs) > 1 else None

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        weight, bias = self._weight(), self._bias()
        for source, target in zip(bottom, top):
            x = self._folded(source.value)
            if self.native and not self.rounds:
                if self.few_channels and x.is_cpu:
                    y = self._folded(target.value)
                    for call in Few(x, weight, self.window).forward(bias, y):
                        call()
                    target.put(y)
                else:
                    target.put(torch.convolution(x, weight, bias, **self.torch_args))
                continue
            y = self._product(x, weight, target.dims[self.channel_axis + 1 :])
            target.put(y if bias is None else y + bias.view(-1, *[1] * (y.dim() - 2)))

    def forward_calls(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> Sequence[Call] | None:
        if not self.few_channels or self.rounds:
            return None
        weight, bias = self._weight(), self._bias()
        return [
            call
            for source, target in zip(bottom, top)
            for call in Few(self._folded(source.value), weight, self.window).forward(
                bias, self._folded(target.value)
            )
        ]

    def _product(self, x: torch.Tensor, weight: torch.Tensor, size: Ints) -> torch.Tensor:
        """The layer without its bias; `size` is the top's spatial size."""
        if self.rounds:
            x, weight = rounding.rounded(x), rounding.rounded(weight)
        if self.native:
            y = torch.convolution(x, weight, None, **self.torch_args)
        else:
            y = self._by_columns(x, weight, size)
        return rounding.widened(y) if self.rounds else y

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        weight = self._weight()
        flags = [bool(flag) for flag in self.param_flags[: len(self.blobs)]]
        for source, target, down in zip(bottom, top, propagate_down):
            wanted = [bool(down), *flags, *[False] * (2 - len(flags))]
            if not any(wanted):
                continue
            x, dy = self._folded(source.value), self._folded(target.grad)
            if self.rounds:
                grads = self._rounded_gradients(x, weight, dy, wanted)
            else:
                grads = self._gradients(x, weight, dy, wanted)
            for blob, grad, flag in zip(self.blobs, grads[1:], flags):
                if flag:
                    blob.add_grad(grad)
            if down:
                source.put_grad(grads[0])

    def _gradients(
        self, x: torch.Tensor, weight: torch.Tensor, dy: torch.Tensor, wanted: Sequence[bool]
    ) -> tuple[Any, ...]:
        """The gradients of bottom, weight and bias; those that are not wanted may be anything."""
        if not self.native:
            return self._backward_by_columns(x, weight, dy, wanted)
        if self.few_channels and x.is_cpu:
            return Few(x, weight, self.window).gradients(dy, wanted)
        outputs = [self.layer_param.convolution_param.num_output]
        grads: tuple[Any, ...] = torch.ops.aten.convolution_backward(
            dy, x, weight, outputs, **self.torch_args, output_mask=wanted
        )
        return grads

    def backward_calls(
        self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]
    ) -> Sequence[Call] | None:
        if not self.few_channels or self.rounds or len(bottom) > 1:
            return None
        x, dy = self._folded(bottom[0].value), self._folded(top[0].grad)
        targets = [self._folded(bottom[0].grad) if propagate_down[0] else None]
        targets += [blob.grad if flag else None for blob, flag in zip(self.blobs, self.param_flags)]
        targets += [None] * (3 - len(targets))  # of a bias that is not there
        return Few(x, self._weight(), self.window).backward(dy, targets)

    def _rounded_gradients(
        self, x: torch.Tensor, weight: torch.Tensor, dy: torch.Tensor, wanted: Sequence[bool]
    ) -> tuple[Any, ...]:
        """Those of rounded factors; the bias has none."""
        dx = dw = None
        if any(wanted[:2]):
            x, weight, factor = (rounding.rounded(each) for each in (x, weight, dy))
            dx, dw, _ = self._gradients(x, weight, factor, [*wanted[:2], False])
        db = dy.sum([0, *range(2, dy.dim())]) if wanted[2] else None
        return *(None if grad is None else rounding.widened(grad) for grad in (dx, dw)), db

    def _by_columns(self, x: torch.Tensor, weight: torch.Tensor, size: Ints) -> torch.Tensor:
        """The layer without its bias; `size` is the top's spatial size."""
        if self.transposed:
            return adjoint(x, weight, size or (1,), self.core, self.torch_args["groups"])
        return correlate(x, weight, self.core, self.torch_args["groups"])

    def _backward_by_columns(
        self, x: torch.Tensor, weight: torch.Tensor, dy: torch.Tensor, wanted: Sequence[bool]
    ) -> tuple[torch.Tensor | None, ...]:
        """The gradients of bottom, weight and bias that are wanted."""
        core, groups = self.core, self.torch_args["groups"]
        dx = dw = db = None
        if wanted[0] and self.transposed:
            dx = correlate(dy, weight, core, groups)
        elif wanted[0]:
            dx = adjoint(dy, weight, x.shape[2:], core, groups)
        if wanted[1]:
            fine, coarse = (dy, x) if self.transposed else (x, dy)
            dw = weight_gradient(fine, coarse, core, groups).reshape(weight.shape)
        if wanted[2]:
            db = dy.sum([0, *range(2, dy.dim())])
        return dx, dw, db


@register("Convolution")
class Convolution(_Correlation):
    """Cross-correlation plus bias; every bottom makes its top with the same weights.

    Top: C becomes O and each spatial size (in + 2 pad - (dilation (kernel - 1) + 1)) / stride + 1,
    truncated toward zero. `engine` and `force_nd_im2col` choose among Caffe's implementations and have
    no effect. Source: Caffe's convolution_layer, base_conv_layer.
    """


@register("Deconvolution")
class Deconvolution(_Correlation):
    """The adjoint of Convolution plus bias, on the same parameters.

    Top: C becomes O and each spatial size stride (in - 1) + dilation (kernel - 1) + 1 - 2 pad.
    Source: Caffe's deconv_layer.
    """

    transposed = True


@register("Im2col")
class Im2col(_WindowLayer):
    """The windows of a Convolution as channels: (N, C, size...) to (N, C*K, placements...).

    Channel c*K + k of the top is channel c under tap k, row-major in the kernel.
    Source: Caffe's im2col_layer.
    """

    bottoms = tops = Arity(1)
    _unused = ("num_output", "bias_term", "group", "weight_filler", "bias_filler")

    def setup(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        super().setup(bottom, top)
        self.check(
            self.window.kernel, f"needs a spatial axis after the channels; the bottom is {bottom[0].dims}"
        )
        for field in self._unused:
            if self.layer_param.convolution_param.HasField(field):
                log.warning("layer '%s' (Im2col): %s has no effect", self.layer_param.name, field)

    def reshape(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        dims, axis = bottom[0].dims, self.channel_axis
        places = self.window.placements(dims[axis + 1 :])
        self.check(
            len(dims) == axis + 1 + len(self.window.kernel) and all(n >= 0 for n in places),
            f"kernel {self.window.kernel} with pad {self.window.pad} does not fit the bottom {dims}",
        )
        top[0].resize((*dims[:axis], dims[axis] * math.prod(self.window.kernel), *places))

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        dims = bottom[0].dims[self.channel_axis :]
        top[0].put(columns(bottom[0].value.reshape(self._batch(bottom), *dims), self.window))

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        dims = top[0].dims[self.channel_axis :]
        cols = top[0].grad.reshape(self._batch(bottom), *dims)
        bottom[0].put_grad(uncolumns(cols, bottom[0].dims[self.channel_axis + 1 :], self.window))

    def _batch(self, bottom: Sequence[Blob]) -> int:
        return math.prod(bottom[0].dims[: self.channel_axis])
