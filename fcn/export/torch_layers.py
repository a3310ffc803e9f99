"""A module of PyTorch for each type of layer. Imported only by what needs torch, see `fcn.export.to_torch`.

Parameters are called as in the .pth files of `fcn weights export`: `weight`, `bias`, or numbers where there
are more than two. All is float32, or what the module is turned into.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from . import settings
from .graph import Layer

Tensor = torch.Tensor


class Function(nn.Module):
    """A layer without parameters."""

    def __init__(self, kind: str, function: Callable[..., Any]) -> None:
        super().__init__()
        self.kind, self.function = kind, function

    def forward(self, *bottoms: Tensor) -> Any:
        return self.function(*bottoms)

    def extra_repr(self) -> str:
        return self.kind


class Dense(nn.Module):
    """InnerProduct: y = W x + b over all axes from `axis` on."""

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        p = layer.spec.inner_product_param
        weight, *bias = parameters(layer)
        self.axis, self.transpose = layer.axis(p.axis), bool(p.transpose)
        self.weight = weight
        self.bias = bias[0] if bias else None

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight.T if self.transpose else self.weight
        return F.linear(x.flatten(self.axis), weight, self.bias)


class Affine(nn.Module):
    """Scale and Bias: a factor, a summand, or both, over some axes; `over` makes them broadcast."""

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        scales = layer.type == "Scale"
        param = layer.spec.scale_param if scales else layer.spec.bias_param
        own = parameters(layer)
        from_bottom = len(layer.bottoms) > 1
        self.weight = own.pop(0) if scales and not from_bottom else None
        self.bias = own.pop(0) if own else None
        self.scales = scales

        def over(value: Tensor) -> Tensor:
            return value.reshape(settings.over_axes(layer, param, tuple(value.shape)))

        self.over = over

    def forward(self, x: Tensor, other: Tensor | None = None) -> Tensor:
        factor = other if other is not None and self.scales else self.weight
        summand = other if other is not None and not self.scales else self.bias
        x = x if factor is None else x * self.over(factor)
        return x if summand is None else x + self.over(summand)


class BatchNorm(nn.Module):
    """Normalisation by stored statistics, or in training by the batch's, which are then stored as Caffe does.

    The buffers `0`, `1` and `2` are Caffe's: sums of means and variances, and what divides them.
    """

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        p = layer.spec.batch_norm_param
        for number, array in enumerate(layer.arrays):
            self.register_buffer(str(number), torch.from_numpy(array.copy()))
        self.eps, self.fraction = p.eps, p.moving_average_fraction
        self.stored = bool(p.use_global_stats) if p.HasField("use_global_stats") else None

    def forward(self, x: Tensor) -> Tensor:
        mean, variance, count = (self.get_buffer(str(number)) for number in range(3))
        if self.stored if self.stored is not None else not self.training:
            factor = torch.where(count == 0, torch.zeros_like(count), 1 / count)
            return F.batch_norm(x, mean * factor, variance * factor, eps=self.eps)
        axes = [axis for axis in range(x.ndim) if axis != 1]
        with torch.no_grad():
            own_variance, own_mean = torch.var_mean(x, axes, unbiased=False)
            values = x.numel() / x.shape[1]
            count.mul_(self.fraction).add_(1)
            mean.mul_(self.fraction).add_(own_mean)
            variance.mul_(self.fraction).add_(own_variance * values / max(values - 1, 1))
        return F.batch_norm(x, None, None, training=True, eps=self.eps)


class Embed(nn.Module):
    """A row of the weights for each index."""

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        self.weight, *bias = parameters(layer)
        self.bias = bias[0] if bias else None

    def forward(self, x: Tensor) -> Tensor:
        found = F.embedding(x.long(), self.weight)
        return found if self.bias is None else found + self.bias


class Constant(nn.Module):
    """A Parameter layer."""

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        (self.weight,) = parameters(layer)

    def forward(self) -> Tensor:
        return self.weight


def parameters(layer: Layer) -> list[nn.Parameter]:
    """The parameters of a layer, copied."""
    return [nn.Parameter(torch.from_numpy(array.copy())) for array in layer.arrays]


def filled(module: nn.Module, layer: Layer) -> nn.Module:
    """A module made on the device `meta`, with weight (and bias) in place: nothing is drawn for nothing."""
    for name, value in zip(("weight", "bias"), parameters(layer)):
        setattr(module, name, value)
    return module


# -- one function per type ----------------------------------------------------------------------------


def _convolution(layer: Layer) -> nn.Module:
    p, window = layer.spec.convolution_param, settings.convolution(layer)
    weight = layer.arrays[0]
    kind = nn.ConvTranspose2d if layer.type == "Deconvolution" else nn.Conv2d
    inputs = weight.shape[0] if layer.type == "Deconvolution" else weight.shape[1] * p.group
    options: dict[str, Any] = {"stride": window.stride, "padding": window.pad, "dilation": window.dilation}
    module = kind(
        inputs,
        p.num_output,
        window.kernel,
        groups=p.group,
        bias=len(layer.arrays) > 1,
        device="meta",
        **options,
    )
    return filled(module, layer)


def _pooling(layer: Layer) -> nn.Module:
    p, window = layer.spec.pooling_param, settings.pooling(layer)
    average = p.pool == p.AVE
    if window is None:
        return nn.AdaptiveAvgPool2d(1) if average else nn.AdaptiveMaxPool2d(1)
    kind = nn.AvgPool2d if average else nn.MaxPool2d
    return kind(window.kernel, window.stride, window.pad, ceil_mode=p.round_mode == p.CEIL)


def _lrn(layer: Layer) -> nn.Module:
    p = layer.spec.lrn_param
    if p.norm_region == p.ACROSS_CHANNELS:
        return nn.LocalResponseNorm(p.local_size, p.alpha, p.beta, p.k)

    def within(x: Tensor) -> Tensor:
        mean = F.avg_pool2d(x * x, p.local_size, 1, (p.local_size - 1) // 2)
        return torch.mul(x, (1 + p.alpha * mean) ** -p.beta)

    return Function(layer.type, within)


def _eltwise(layer: Layer) -> nn.Module:
    p = layer.spec.eltwise_param
    factors = list(p.coeff) or [1.0] * len(layer.bottoms)

    def combine(*bottoms: Tensor) -> Tensor:
        first, *others = bottoms
        total = first * factors[0] if p.operation == p.SUM and factors[0] != 1 else first
        for factor, other in zip(factors[1:], others):
            if p.operation == p.SUM:
                total = total + (other * factor if factor != 1 else other)
            else:
                total = total * other if p.operation == p.PROD else torch.maximum(total, other)
        return total

    return Function(layer.type, combine)


def _crop(layer: Layer) -> nn.Module:
    axis, offsets = settings.crop(layer)

    def cut(x: Tensor, like: Tensor) -> Tensor:
        for k, offset in enumerate(offsets, start=axis):
            x = x.narrow(k, offset, like.shape[k])
        return x

    return Function(layer.type, cut)


def _slice(layer: Layer) -> nn.Module:
    axis, points = settings.slices(layer)
    count = len(layer.tops)

    def split(x: Tensor) -> Any:
        if not points:
            return x.split(x.shape[axis] // count, axis)
        return torch.tensor_split(x, list(points), axis)

    return Function(layer.type, split)


def _reshape(layer: Layer) -> nn.Module:
    p = layer.spec.reshape_param
    first = p.axis + layer.rank + 1 if p.axis < 0 else p.axis
    end = layer.rank if p.num_axes == -1 else first + p.num_axes

    def reshape(x: Tensor) -> Tensor:
        dims = [x.shape[first + i] if dim == 0 else dim for i, dim in enumerate(p.shape.dim)]
        return x.reshape([*x.shape[:first], *dims, *x.shape[end:]])

    return Function(layer.type, reshape)


def _argmax(layer: Layer) -> nn.Module:
    p = layer.spec.argmax_param
    if not p.HasField("axis"):
        if p.out_max_val:
            raise layer.refuse("positions and values together, without an axis, have no counterpart")
        return Function(layer.type, lambda x: x.flatten(1).topk(p.top_k, 1).indices[:, None].to(x.dtype))
    axis = layer.axis(p.axis)
    if p.out_max_val:
        return Function(layer.type, lambda x: x.topk(p.top_k, axis).values)
    if p.top_k == 1:
        return Function(layer.type, lambda x: x.argmax(axis, keepdim=True).to(x.dtype))
    return Function(layer.type, lambda x: x.topk(p.top_k, axis).indices.to(x.dtype))


def _reduction(layer: Layer) -> nn.Module:
    p = layer.spec.reduction_param
    axis = layer.axis(p.axis)
    before: dict[int, Callable[[Tensor], Tensor]] = {p.ASUM: torch.abs, p.SUMSQ: torch.square}
    mean = p.operation == p.MEAN

    def reduce(x: Tensor) -> Tensor:
        x = before.get(p.operation, lambda same: same)(x)
        axes = tuple(range(axis, x.ndim))
        return torch.mul(x.mean(axes) if mean else x.sum(axes), p.coeff)

    return Function(layer.type, reduce)


def _mvn(layer: Layer) -> nn.Module:
    p = layer.spec.mvn_param
    axes = tuple(range(1 if p.across_channels else 2, layer.rank))

    def normalise(x: Tensor) -> Tensor:
        x = x - x.mean(axes, keepdim=True)
        return x / (x.square().mean(axes, keepdim=True).sqrt() + p.eps) if p.normalize_variance else x

    return Function(layer.type, normalise)


def _power(layer: Layer) -> nn.Module:
    p = layer.spec.power_param

    def power(x: Tensor) -> Tensor:
        x = x * p.scale + p.shift
        return x if p.power == 1 else x**p.power

    return Function(layer.type, power)


def _exp(layer: Layer) -> nn.Module:
    scale, shift, base = settings.exponential(layer)
    return Function(layer.type, lambda x: torch.exp((x * scale + shift) * base))


def _log(layer: Layer) -> nn.Module:
    scale, shift, base = settings.exponential(layer)
    return Function(layer.type, lambda x: torch.log(x * scale + shift) / base)


def _prelu(layer: Layer) -> nn.Module:
    module = nn.PReLU(layer.arrays[0].size, device="meta")
    module.weight = nn.Parameter(torch.from_numpy(layer.arrays[0].reshape(-1).copy()))
    return module


def _relu(layer: Layer) -> nn.Module:
    slope = layer.spec.relu_param.negative_slope
    return nn.LeakyReLU(slope) if slope else nn.ReLU()


def _flatten(layer: Layer) -> nn.Module:
    p = layer.spec.flatten_param
    return nn.Flatten(layer.axis(p.axis), layer.axis(p.end_axis))


def _tile(layer: Layer) -> nn.Module:
    p = layer.spec.tile_param
    axis = layer.axis(p.axis)
    times = [1] * layer.rank
    times[axis] = p.tiles
    return Function(layer.type, lambda x: x.repeat(times))


def _simple(kind: str, make: Callable[[Any], Callable[[Tensor], Tensor]]) -> Callable[[Layer], nn.Module]:
    """A type that works on each value alone; `make` gets the LayerParameter."""
    return lambda layer: Function(kind, make(layer.spec))


#: type of a layer -> the module that computes it.
MAKERS: Mapping[str, Callable[[Layer], nn.Module]] = {
    "AbsVal": _simple("AbsVal", lambda spec: torch.abs),
    "ArgMax": _argmax,
    "BNLL": lambda layer: nn.Softplus(threshold=math.inf),
    "BatchNorm": BatchNorm,
    "Bias": Affine,
    "Clip": _simple("Clip", lambda spec: lambda x: x.clamp(spec.clip_param.min, spec.clip_param.max)),
    "Concat": lambda layer: Function("Concat", lambda *x: torch.cat(x, settings.concat_axis(layer))),
    "Convolution": _convolution,
    "Crop": _crop,
    "Deconvolution": _convolution,
    "Dropout": lambda layer: nn.Dropout(layer.spec.dropout_param.dropout_ratio),
    "ELU": lambda layer: nn.ELU(layer.spec.elu_param.alpha),
    "Eltwise": _eltwise,
    "Embed": Embed,
    "Exp": _exp,
    "Flatten": _flatten,
    "InnerProduct": Dense,
    "LRN": _lrn,
    "Log": _log,
    "MVN": _mvn,
    "PReLU": _prelu,
    "Parameter": Constant,
    "Pooling": _pooling,
    "Power": _power,
    "ReLU": _relu,
    "Reduction": _reduction,
    "Reshape": _reshape,
    "Scale": Affine,
    "Sigmoid": lambda layer: nn.Sigmoid(),
    "Slice": _slice,
    "Softmax": lambda layer: nn.Softmax(layer.axis(layer.spec.softmax_param.axis)),
    "Swish": _simple("Swish", lambda spec: lambda x: x * torch.sigmoid(spec.swish_param.beta * x)),
    "TanH": lambda layer: nn.Tanh(),
    "Threshold": _simple(
        "Threshold", lambda spec: lambda x: (x > spec.threshold_param.threshold).to(x.dtype)
    ),
    "Tile": _tile,
}
