"""BatchNorm, LRN, MVN. N images, C channels, H x W pixels.

Sources: Caffe's batch_norm_layer.cpp, lrn_layer.cpp, mvn_layer.cpp. As there, all but LRN within a
channel compute the bottom's diff whenever they run backward, whatever `propagate_down` says.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ...proto import caffe_pb2
from ...proto.caffe_pb2 import LRNParameter, ParamSpec
from ..blob import Blob
from ..layer import Arity, Layer
from ..registry import register

Blobs = Sequence[Blob]


class _Normal(NamedTuple):
    """What BatchNorm saves: mean and 1 / deviation per channel; the input where it is overwritten."""

    mean: Tensor
    inverse: Tensor
    x: Tensor | None


class _Sums(NamedTuple):
    """What LRN saves: s; the input where it is overwritten."""

    s: Tensor
    x: Tensor | None


@register("BatchNorm")
class BatchNorm(Layer):
    """y = (x - mean) / sqrt(variance + eps) per channel (axis 1), without a learned affine part.

    Params: sums of means (C,), of unbiased variances (C,), and of weights (1,). Every forward on batch
    statistics (`use_global_stats` false; the default in TRAIN) multiplies them by
    `moving_average_fraction` and adds the batch's; it normalises by the biased variance. With global
    statistics mean and variance are the sums over the weight, or 0 if that is 0.
    """

    reads = ("batch_norm_param",)
    bottoms = Arity(1)
    tops = Arity(1)
    param_specs = (ParamSpec(lr_mult=0),) * 3
    saves = "mean and deviation of the channels; in place, on batch statistics, the input"

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        param = self.layer_param.batch_norm_param
        self.fraction, self.eps = param.moving_average_fraction, param.eps
        self.use_global = self.phase == caffe_pb2.TEST
        if param.HasField("use_global_stats"):
            self.use_global = param.use_global_stats
        self._check_channels(bottom[0])
        if not self.blobs:
            for index in range(3):
                self.fill_param(index, bottom[0].dims[1:2] if index < 2 else (1,), None)
        for index, spec in enumerate(self.layer_param.param[: len(self.blobs)]):
            self.check(
                spec.lr_mult == 0,
                f"param {index} has lr_mult {spec.lr_mult:g}, but statistics are not learned: set it to 0",
            )

    def _check_channels(self, bottom: Blob) -> None:
        self.check(len(bottom.dims) >= 2, f"the bottom needs at least 2 axes; it is {bottom.dims}")

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        self._check_channels(bottom[0])
        dims, shapes = bottom[0].dims, [blob.dims for blob in self.blobs]
        self.check(
            [blob.count for blob in self.blobs] == [dims[1], dims[1], 1],
            f"a bottom of {dims} needs params of {dims[1]}, {dims[1]} and 1 value(s); they are {shapes}",
        )
        top[0].resize(dims)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        needed = top[0] is bottom[0] and not self.use_global
        kept = bottom[0].taken() if needed and self.wants_gradient else None
        x = bottom[0].value
        y, mean, inverse = self._by_stored(x) if self.use_global else self._by_batch(x)
        self.saved = None if needed and kept is None else _Normal(mean, inverse, kept)
        top[0].put(y)

    def _by_stored(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """y, mean, 1 / deviation."""
        mean, variance, weight = (blob.value.view(-1) for blob in self.blobs)
        # 0 where nothing was gathered yet, without asking a device for the number.
        factor = torch.where(weight == 0, 0, 1 / weight)
        mean, variance = mean * factor, variance * factor
        y = torch.native_batch_norm(x, None, None, mean, variance, False, 0.0, self.eps)[0]
        return y, mean, (variance + self.eps).rsqrt_()

    def _by_batch(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """y, mean, 1 / deviation; the stored statistics take the batch's in."""
        mean, variance, weight = x.new_zeros(x.shape[1]), x.new_zeros(x.shape[1]), x.new_ones(1)
        # With momentum 1 the running statistics are the batch's: the mean and the unbiased variance.
        normal = torch.native_batch_norm(x, None, None, mean, variance, True, 1.0, self.eps)
        y, saved_mean, inverse = normal
        if x.numel() == x.shape[1]:
            variance.zero_()  # of a single value, where torch divides by 0
        for blob, batch in zip(() if self.again else self.blobs, (mean, variance, weight)):
            blob.put(blob.value * self.fraction + batch.view(blob.dims))
        return y, saved_mean, inverse

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        """dx = (dy - mean(dy) - mean(dy y) y) / sqrt(variance + eps); stored: dy / sqrt(variance + eps)."""
        dy, saved = top[0].grad, self.recall(_Normal)
        if self.use_global:
            inverse = saved.inverse.view(-1, *[1] * (dy.ndim - 2))
            bottom[0].put_grad(dy.mul_(inverse) if top[0] is bottom[0] else dy * inverse)
            return
        x = bottom[0].value if saved.x is None else saved.x
        bottom[0].put_grad(
            torch.ops.aten.native_batch_norm_backward(
                dy, x, None, None, None, saved.mean, saved.inverse, True, self.eps, [True, False, False]
            )[0]
        )


@register("LRN")
class LRN(Layer):
    """y = x s^-beta (local response normalisation; N x C x H x W).

    s = k + alpha / n * the sum of x^2 over the n channels around (ACROSS_CHANNELS), or
    s = 1 + alpha / n^2 * the sum over the n x n pixels around (WITHIN_CHANNEL, where k is ignored);
    n = `local_size`, zeros beyond the ends. Unlike Caffe, in place is right.
    """

    reads = ("lrn_param",)
    without_effect = ("lrn_param.engine",)
    bottoms = Arity(1)
    tops = Arity(1)
    saves = "s; in place, the input"

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        param = self.layer_param.lrn_param
        self.size, self.beta = param.local_size, param.beta
        self.check(self.size % 2 == 1, f"lrn_param.local_size must be odd, not {self.size}")
        self.across = param.norm_region == LRNParameter.ACROSS_CHANNELS
        self.k = param.k if self.across else 1.0
        self.weight = param.alpha / (self.size if self.across else self.size**2)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        self.check(len(bottom[0].dims) == 4, f"the bottom must be N x C x H x W; it is {bottom[0].dims}")
        top[0].resize(bottom[0].dims)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        keep = top[0] is bottom[0] and self.wants_gradient
        kept = bottom[0].taken() if keep else None
        x = bottom[0].value
        s = self._sums(x)
        self.saved = _Sums(s, kept) if self.wants_gradient else None
        top[0].put(_negative_power(s, self.beta).mul_(x))

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        """dx = dy s^-beta - 2 beta (ds/dx^2) x * the window's sum of dy y / s."""
        if not (propagate_down[0] or self.across):
            return
        if self.saved is None and top[0] is not bottom[0]:
            s, x = self._sums(bottom[0].value), bottom[0].value
        else:
            s, kept = self.recall(_Sums)
            x = bottom[0].value if kept is None else kept
        dy = top[0].grad
        dx = _negative_power(s, self.beta).mul_(dy)
        spread = self._window_sum((dx * x).div_(s)).mul_(x)
        bottom[0].put_grad(dx.sub_(spread, alpha=2 * self.beta * self.weight))

    def _sums(self, x: Tensor) -> Tensor:
        return self._window_sum(x.square()).mul_(self.weight).add_(self.k)

    def _window_sum(self, values: Tensor) -> Tensor:
        half = self.size // 2
        if not self.across:
            return F.avg_pool2d(values, self.size, 1, half, divisor_override=1)
        total = values.clone()
        for shift in range(1, min(half, values.shape[1] - 1) + 1):
            total[:, shift:].add_(values[:, :-shift])
            total[:, :-shift].add_(values[:, shift:])
        return total


def _negative_power(s: Tensor, beta: float) -> Tensor:
    """s^-beta; the usual 0.75 by square roots, several times faster than a power."""
    if beta != 0.75:
        return s.pow(-beta)
    root = s.rsqrt()
    return root.sqrt().mul_(root)


@register("MVN")
class MVN(Layer):
    """Mean 0 and, with `normalize_variance`, deviation 1 of each channel (each image, `across_channels`).

    y = (x - mean) / (deviation + eps): eps is added to the deviation, of the biased variance. The top
    always has four axes. The gradient takes y for x's normal form, so eps makes it inexact, as in Caffe:
    dx = (dy - mean(dy) - mean(dy y) y) / (deviation + eps).
    """

    reads = ("mvn_param",)
    bottoms = Arity(1)
    tops = Arity(1)
    saves = "the deviations"

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        dims = bottom[0].dims
        self.check(len(dims) <= 4, f"the bottom has at most 4 axes; it is {dims}")
        dims += (1,) * (4 - len(dims))
        top[0].resize(dims)
        groups = dims[0] if self.layer_param.mvn_param.across_channels else dims[0] * dims[1]
        self.rows = groups, math.prod(dims) // max(groups, 1)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        param = self.layer_param.mvn_param
        x = bottom[0].value.reshape(self.rows)
        y = x - x.mean(1, keepdim=True)
        if param.normalize_variance:
            self.saved = y.square().mean(1, keepdim=True).sqrt_().add_(param.eps)
            y.div_(self.saved)
        top[0].put(y)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        y, dy = top[0].value.view(self.rows), top[0].grad.view(self.rows)
        dx = dy - dy.mean(1, keepdim=True)
        if self.layer_param.mvn_param.normalize_variance:
            dx.addcmul_((dy * y).mean(1, keepdim=True), y, value=-1).div_(self.recall(Tensor))
        bottom[0].put_grad(dx)
