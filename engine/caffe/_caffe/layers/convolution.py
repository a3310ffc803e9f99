"""Convolution, Deconvolution, Im2col.

Legend: N is the product of the axes before `axis`, C the channels at `axis`, every axis after it is
spatial (any number of them, also none); O is `num_output`, G is `group`, K the size of a window.
Weights are (O, C/G, kernel...) for Convolution and (C, O/G, kernel...) for Deconvolution, biases (O).
A Convolution is a cross-correlation: the kernel is not flipped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F

from .. import rounding
from ..blob import Blob
from ..layer import Arity, Call, Layer
from ..log import log
from ..registry import register

Ints = tuple[int, ...]

#: Multiply-adds of a layer up to which `few_channels` was measured to pay.
_FEW_ADDS = 32_000_000


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
    batch, channels, *size = x.shape
    margins = [
        (p, (o - 1) * s + e - n - p)
        for n, o, s, e, p in zip(size, places, window.stride, window.extent, window.pad)
    ]
    padded = F.pad(x, [side for margin in reversed(margins) for side in margin]).contiguous()
    steps = padded.stride()[2:]
    taps = [step * d for step, d in zip(steps, window.dilation)]
    hops = [step * s for step, s in zip(steps, window.stride)]
    return padded.as_strided((batch, channels, *window.kernel, *places), (*padded.stride()[:2], *taps, *hops))


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
                    target.put(self._few(x, weight, bias, self._folded(target.value))())
                else:
                    target.put(torch.convolution(x, weight, bias, **self.torch_args))
                continue
            y = self._product(x, weight, target.dims[self.channel_axis + 1 :])
            target.put(y if bias is None else y + bias.view(-1, *[1] * (y.dim() - 2)))

    def _few(
        self, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, out: torch.Tensor
    ) -> Callable[[], torch.Tensor]:
        window, forward = self.window, torch.ops.aten._slow_conv2d_forward.output
        return partial(forward, x, weight, window.kernel, bias, window.stride, window.pad, output=out)

    def forward_calls(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> Sequence[Call] | None:
        if not self.few_channels or self.rounds:
            return None
        weight, bias = self._weight(), self._bias()
        return [
            self._few(self._folded(source.value), weight, bias, self._folded(target.value))
            for source, target in zip(bottom, top)
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
            return self._few_gradients(x, weight, dy, wanted)
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
        wanted = [propagate_down[0], *map(bool, self.param_flags[: len(self.blobs)])]
        wanted += [False] * (3 - len(wanted))
        x, dy, weight = self._folded(bottom[0].value), self._folded(top[0].grad), self._weight()
        blobs = [bottom[0], *self.blobs]
        targets = [blob.grad if flag else None for blob, flag in zip(blobs, wanted)]

        def descend() -> None:
            grads = self._few_gradients(x, weight, dy, wanted)
            for target, grad in zip(targets, grads):
                if target is not None:
                    target.copy_(grad.view(target.shape))

        return [descend]

    def _few_gradients(
        self, x: torch.Tensor, weight: torch.Tensor, dy: torch.Tensor, wanted: Sequence[bool]
    ) -> tuple[Any, ...]:
        window = self.window
        if len(x) > 1:
            return batch_gradients(x, weight, dy, window, wanted)
        grads: tuple[Any, ...] = torch.ops.aten._slow_conv2d_backward.output_mask(
            dy, x, weight, window.kernel, window.stride, window.pad, output_mask=wanted
        )
        return grads

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
