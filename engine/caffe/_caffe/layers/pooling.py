"""Pooling and SPP (spatial pyramid pooling).

Legend: bottoms are (N, C, H, W), pooled planes (N, C, oh, ow). Caffe rounds the number of windows up,
drops a last window that starts beyond the image and its padding (only where there is padding), clips
the windows, and never picks a NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from ...proto import caffe_pb2
from ...proto.caffe_pb2 import PoolingParameter
from .. import device
from ..blob import Blob
from ..layer import Arity, Call, Layer
from ..registry import register

FLOOR = -torch.finfo(torch.float32).max  # C's -FLT_MAX: what a maximum starts from
#: Numbers; with fewer, the many calls of `max_values` cost more than they save; NumPy's cost less.
_QUICK_FROM, _NUMPY_TO = 1 << 13, 1 << 16
Pair = tuple[int, int]


class Pooled(NamedTuple):
    """A pooled plane and, for MAX and STOCHASTIC, which value of the H x W plane each one is (or -1).

    `native`: torch's own windows made it, and its own backward applies; on the host no pick is -1.
    """

    values: torch.Tensor
    picks: torch.Tensor | None = None
    native: bool = False


@dataclass(frozen=True)
class PoolWindow:
    """A pooling window in rows and columns, the input it walks over and how often it fits."""

    size: Pair
    kernel: Pair
    stride: Pair
    pad: Pair
    ceil: bool = True
    places: Pair = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "places", tuple(map(self._count, *self._axes())))

    def _axes(self) -> tuple[Pair, Pair, Pair, Pair]:
        return self.size, self.kernel, self.stride, self.pad

    def _count(self, size: int, kernel: int, stride: int, pad: int) -> int:
        span = size + 2 * pad - kernel
        count = (-(-span // stride) if self.ceil else span // stride) + 1
        # Caffe's pooling_layer.cpp: a last window that starts in the far padding is dropped, on both
        # axes as soon as one is padded; without any padding windows may start beyond the image.
        return count - 1 if any(self.pad) and (count - 1) * stride >= size + pad else count

    @cached_property
    def native(self) -> bool:
        """Whether torch's pooling, told `ceil_mode`, has the same windows."""
        return all(
            2 * pad <= kernel and count == self._torch_count(size, kernel, stride, pad)
            for size, kernel, stride, pad, count in zip(*self._axes(), self.places)
        )

    def _torch_count(self, size: int, kernel: int, stride: int, pad: int) -> int:
        span = size + 2 * pad - kernel
        if not self.ceil:
            return span // stride + 1 if span >= 0 else 0
        count = -(-span // stride) + 1
        return count - 1 if (count - 1) * stride >= size + pad else count

    @property
    def cover(self) -> list[int]:
        """How far to pad (or, negative, crop) so that the windows fit exactly; in `F.pad`'s order."""
        far = [
            (count - 1) * stride + kernel - size - pad
            for size, kernel, stride, pad, count in zip(*self._axes(), self.places)
        ]
        return [self.pad[1], far[1], self.pad[0], far[0]]

    def sizes(self) -> tuple[list[int], list[int]]:
        """Heights and widths of the windows within the padded image; 0 or less for one that starts beyond."""
        heights, widths = (
            [min(i * stride - pad + kernel, size + pad) - (i * stride - pad) for i in range(count)]
            for size, kernel, stride, pad, count in zip(*self._axes(), self.places)
        )
        return heights, widths

    def areas(self) -> torch.Tensor:
        """(oh, ow): the window's area within the padded image, and the divisor of AVE."""
        heights, widths = (
            torch.tensor(sizes, dtype=device.dtype(), device=device.current()) for sizes in self.sizes()
        )
        return torch.outer(heights, widths)


def max_pool(x: torch.Tensor, window: PoolWindow, test: bool = False) -> Pooled:
    """The first maximum of each window in row-major order; -FLT_MAX and index -1 if it has none."""
    if window.native and device.current() is not device.HOST:
        return _max_pool_unasked(x, window)
    if window.native:
        values, index = _native_max_pool(x, window)
        # torch picks NaN and starts from -inf; both are rare, and both show in the result.
        if values.min().item() > FLOOR:
            return Pooled(values, index, native=True)
    low = -math.inf
    padded = F.pad(x.nan_to_num(nan=low, posinf=math.inf, neginf=low), window.cover, value=low)
    values, index = torch.ops.aten.max_pool2d_with_indices(padded, window.kernel, window.stride)
    width = padded.shape[-1]
    row, col = index // width - window.pad[0], index % width - window.pad[1]
    index = torch.where(values > FLOOR, row * window.size[1] + col, -1)
    return Pooled(values.clamp(min=FLOOR), index)


def _native_max_pool(x: torch.Tensor, window: PoolWindow) -> tuple[torch.Tensor, torch.Tensor]:
    values, index = torch.ops.aten.max_pool2d_with_indices(
        x, window.kernel, window.stride, window.pad, (1, 1), window.ceil
    )
    return values, index


def _max_pool_unasked(x: torch.Tensor, window: PoolWindow) -> Pooled:
    """`max_pool` without a look at a value, for which the host would have to wait."""
    low = -math.inf
    values, index = _native_max_pool(x.nan_to_num(nan=low, posinf=math.inf, neginf=low), window)
    index = torch.where(values > FLOOR, index, -1)
    return Pooled(values.clamp_(min=FLOOR), index, native=True)


def _by_rows(x: torch.Tensor, window: PoolWindow) -> bool:
    """Whether `max_values` applies."""
    return x.is_cpu and x.numel() > 0 and window.native and min(window.places) > 0 and not any(window.pad)


def max_values(x: torch.Tensor, window: PoolWindow) -> torch.Tensor | None:
    """The values of `max_pool` without the picks, or None where this shorter way does not apply.

    On a CPU the maxima of whole rows and then of columns take a fraction of the time of torch's pooling.
    """
    if not _by_rows(x, window):
        return None
    for axis in (2, 3):
        first, *others = (x[at] for at in _taps(axis, window))
        x = first.clone()
        for other in others:
            best = x.narrow(axis, 0, other.shape[axis])  # the last windows may be clipped
            torch.maximum(best, other, out=best)
    return x if x.min().item() > FLOOR else None


def _taps(axis: int, window: PoolWindow) -> list[tuple[slice, ...]]:
    """For each row (axis 2) or column (3) of a window, where the windows have it; the last may have none."""
    kernel, stride, count = (pair[axis - 2] for pair in (window.kernel, window.stride, window.places))
    return [
        (*(slice(None),) * axis, slice(tap, tap + (count - 1) * stride + 1, stride)) for tap in range(kernel)
    ]


def _max_calls(x: np.ndarray, y: np.ndarray, window: PoolWindow) -> list[Call]:
    """`max_values` of few numbers, by NumPy: from `x` (N, C, H, W) into `y`."""
    calls: list[Call] = []
    for axis in (2, 3):
        first, *others = (x[at] for at in _taps(axis, window))
        best = y if axis == 3 else np.empty(first.shape, first.dtype)
        if others and others[0].shape == first.shape:
            calls.append(partial(np.maximum, first, others.pop(0), out=best))
        else:
            calls.append(partial(np.copyto, best, first))
        for other in others:
            part = best[tuple(map(slice, other.shape))]
            calls.append(partial(np.maximum, part, other, out=part))
        x = best
    return calls


def pick_backward(
    grad: torch.Tensor, x: torch.Tensor, picks: torch.Tensor, native: bool, window: PoolWindow
) -> torch.Tensor:
    """Send each gradient to the value it was picked from; the backward of MAX and STOCHASTIC."""
    if native:
        if device.current() is not device.HOST:  # see `_max_pool_unasked`
            grad, picks = torch.where(picks < 0, 0, grad), picks.clamp(min=0)
        dx: torch.Tensor = torch.ops.aten.max_pool2d_with_indices_backward(
            grad, x, window.kernel, window.stride, window.pad, (1, 1), window.ceil, picks
        )
        return dx
    planes = grad.shape[:2]
    picked = (picks >= 0).flatten(2)
    result = grad.new_zeros(*planes, math.prod(window.size))
    result.scatter_add_(2, picks.flatten(2).clamp(min=0), grad.flatten(2) * picked)
    return result.view(*planes, *window.size)


def average(x: torch.Tensor, window: PoolWindow, test: bool = False) -> Pooled:
    """The sum of each window over its area, which counts the padding but not what lies beyond it."""
    if window.native:
        return Pooled(
            torch.ops.aten.avg_pool2d(x, window.kernel, window.stride, window.pad, window.ceil, True)
        )
    padded = F.pad(x, window.cover)
    sums = torch.ops.aten.avg_pool2d(
        padded, window.kernel, window.stride, (0, 0), False, True, divisor_override=1
    )
    return Pooled(sums / window.areas())


def average_backward(grad: torch.Tensor, x: torch.Tensor, window: PoolWindow) -> torch.Tensor:
    """The gradient of `average`: each window's gradient over its area, to all it covers."""
    if window.native:
        dx: torch.Tensor = torch.ops.aten.avg_pool2d_backward(
            grad, x, window.kernel, window.stride, window.pad, window.ceil, True, None
        )
        return dx
    areas = window.areas()
    # A window beyond the image covers nothing, and its area may be 0.
    share = torch.where(areas > 0, grad / areas, 0)
    padded = F.pad(x, window.cover)
    spread = torch.ops.aten.avg_pool2d_backward(
        share, padded, window.kernel, window.stride, (0, 0), False, True, 1
    )
    return F.pad(spread, [-margin for margin in window.cover])


def stochastic(x: torch.Tensor, window: PoolWindow, test: bool = False) -> Pooled:
    """A value drawn in proportion to itself; in TEST the values' mean weighted by themselves.

    The rule of Caffe's GPU code, on any device; values are expected not to be negative.
    """
    taps = F.pad(x, window.cover).unfold(2, window.kernel[0], window.stride[0])
    taps = taps.unfold(3, window.kernel[1], window.stride[1]).flatten(4)
    running = taps.cumsum(-1)
    if test:
        sums = running[..., -1]
        return Pooled(torch.where(sums > 0, taps.square().sum(-1) / sums, 0))
    drawn = torch.rand(running.shape[:-1], generator=device.generator(), dtype=x.dtype, device=x.device)
    # The first value whose running sum reaches the draw.
    tap = (running < drawn[..., None] * running[..., -1:]).sum(-1)
    values = taps.gather(-1, tap[..., None]).squeeze(-1)
    rows = torch.arange(window.places[0], device=x.device).view(-1, 1) * window.stride[0]
    cols = torch.arange(window.places[1], device=x.device) * window.stride[1]
    row, col = rows + tap // window.kernel[1], cols + tap % window.kernel[1]
    inside = (row < window.size[0]) & (col < window.size[1])
    return Pooled(values, torch.where(inside, row * window.size[1] + col, -1))


METHODS: dict[int, Callable[[torch.Tensor, PoolWindow, bool], Pooled]] = {
    PoolingParameter.MAX: max_pool,
    PoolingParameter.AVE: average,
    PoolingParameter.STOCHASTIC: stochastic,
}


class _Pool(Layer):
    """What Pooling and SPP share: windows over four axes and the rules they obey."""

    def _check_axes(self, bottom: Sequence[Blob]) -> None:
        self.check(len(bottom[0].dims) == 4, f"input must have 4 axes (N, C, H, W), is {bottom[0].dims}")

    def _check_window(self, window: PoolWindow, method: int) -> None:
        if any(window.pad):
            self.check(
                method in (PoolingParameter.AVE, PoolingParameter.MAX),
                f"padding is implemented only for average and max pooling; pad is {window.pad}",
            )
            self.check(
                all(pad < kernel for pad, kernel in zip(window.pad, window.kernel)),
                f"pad {window.pad} must be smaller than the kernel {window.kernel} (input {window.size})",
            )
        self.check(
            min(window.places) >= 0,
            f"kernel {window.kernel} with pad {window.pad} does not fit the input {window.size}",
        )

    def _pool(self, x: torch.Tensor, window: PoolWindow, method: int) -> Pooled:
        if x.numel() == 0 or 0 in window.places:
            nothing = FLOOR if method == PoolingParameter.MAX else 0
            empty = x.new_full((*x.shape[:2], *window.places), nothing)
            return Pooled(empty, torch.full_like(empty, -1, dtype=torch.int64))
        return METHODS[method](x, window, self.phase == caffe_pb2.TEST)

    def _unpool(
        self, grad: torch.Tensor, x: torch.Tensor, pooled: Pooled, window: PoolWindow, method: int
    ) -> torch.Tensor:
        if grad.numel() == 0 or x.numel() == 0:
            return torch.zeros_like(x)
        if method == PoolingParameter.AVE:
            return average_backward(grad, x, window)
        if pooled.picks is None:
            self.fail("pool: STOCHASTIC has no gradient in phase TEST")
        return pick_backward(grad, x, pooled.picks, pooled.native, window)


@register("Pooling")
class Pooling(_Pool):
    """MAX, AVE or STOCHASTIC over windows of an (N, C, H, W) bottom.

    A second top (MAX only) holds the index of each maximum in its H x W plane, -1 for none. The
    gradient of MAX goes to that index only. `engine` has no effect. STOCHASTIC follows Caffe's GPU code.
    Source: Caffe's pooling_layer.
    """

    reads = ("pooling_param",)
    without_effect = ("pooling_param.engine",)
    bottoms, tops = Arity(1), Arity(1, 2)
    window: PoolWindow
    saves = "what was picked"

    def setup(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        self._check_axes(bottom)
        param = self.layer_param.pooling_param
        self._method = param.pool
        self.draws_random = self._method == PoolingParameter.STOCHASTIC and self.phase == caffe_pb2.TRAIN
        self.check(len(top) == 1 or self._method == PoolingParameter.MAX, "a second top is for pool: MAX")
        self._stride, self._pad = self._pair("stride"), self._pair("pad")
        kernel_fields = [param.HasField(name) for name in ("kernel_size", "kernel_h", "kernel_w")]
        if param.global_pooling:
            self.check(not any(kernel_fields), "global_pooling takes the input's size as kernel; give none")
            self.check(
                self._pad == (0, 0) and self._stride == (1, 1),
                f"global_pooling needs pad 0 and stride 1, not {self._pad} and {self._stride}",
            )
            return
        square, height, width = kernel_fields
        self.check(
            square != (height and width),
            "filter size is kernel_size, or both kernel_h and kernel_w; exactly one of the two",
        )
        self._kernel = (param.kernel_size,) * 2 if square else (param.kernel_h, param.kernel_w)
        self.check(all(self._kernel), f"kernel must not be 0, is {self._kernel}")
        self.check(all(self._stride), f"stride must not be 0, is {self._stride}")

    def _pair(self, name: str) -> Pair:
        """`name` for both axes, or `name`_h and `name`_w."""
        param = self.layer_param.pooling_param
        height, width = param.HasField(f"{name}_h"), param.HasField(f"{name}_w")
        if not height and not width:
            return (getattr(param, name),) * 2
        self.check(
            height and width and not param.HasField(name),
            f"{name} is {name}, or both {name}_h and {name}_w; exactly one of the two",
        )
        return getattr(param, f"{name}_h"), getattr(param, f"{name}_w")

    def reshape(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        self._check_axes(bottom)
        *planes, height, width = bottom[0].dims
        param = self.layer_param.pooling_param
        self.window = PoolWindow(
            size=(height, width),
            kernel=(height, width) if param.global_pooling else self._kernel,
            stride=self._stride,
            pad=self._pad,
            ceil=param.round_mode == PoolingParameter.CEIL,
        )
        self._check_window(self.window, self._method)
        for blob in top:
            blob.resize((*planes, *self.window.places))

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        x = bottom[0].value
        plain = self._method == PoolingParameter.MAX and len(top) == 1 and not self.wants_gradient
        values = max_values(x, self.window) if plain and x.numel() >= _QUICK_FROM else None
        pooled = Pooled(values) if values is not None else self._pool(x, self.window, self._method)
        top[0].put(pooled.values)
        if len(top) > 1 and pooled.picks is not None:
            top[1].put(pooled.picks.to(device.dtype()))
        self.saved = pooled if self.wants_gradient or self.draws_random else None

    def forward_calls(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> Sequence[Call] | None:
        window, x, y = self.window, bottom[0].value, top[0].value
        picks = self.wants_gradient and window.native
        if self._method != PoolingParameter.MAX or len(top) > 1 or not (picks or self._few(x)):
            return None
        values, saved = y.numpy(), None

        def check() -> None:
            self.saved = saved
            if not np.minimum.reduce(values, None) > FLOOR:  # also where it is NaN
                self.forward(bottom, top)

        if not self.wants_gradient:
            return [*_max_calls(x.numpy(), values, window), check]
        index = torch.zeros(y.shape, dtype=torch.int64)
        saved = Pooled(y, index, native=True)
        pool = torch.ops.aten.max_pool2d_with_indices.out
        args = x, window.kernel, window.stride, window.pad, (1, 1), window.ceil
        return [partial(pool, *args, out=y, indices=index), check]

    def _few(self, x: torch.Tensor) -> bool:
        return not self.wants_gradient and x.numel() < _NUMPY_TO and _by_rows(x, self.window)

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        if not propagate_down[0]:
            return
        x = bottom[0].value
        lost = self.saved is None and not self.draws_random
        pooled = self._pool(x, self.window, self._method) if lost else self.recall(Pooled)
        bottom[0].put_grad(self._unpool(top[0].grad, x, pooled, self.window, self._method))

    def backward_calls(
        self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]
    ) -> Sequence[Call] | None:
        if not (propagate_down[0] and isinstance(self.saved, Pooled) and self.saved.native):
            return None
        window, x, dy, dx = self.window, bottom[0].value, top[0].grad, bottom[0].grad
        unpool = torch.ops.aten.max_pool2d_with_indices_backward.grad_input
        args = dy, x, window.kernel, window.stride, window.pad, (1, 1), window.ceil

        def pass_on() -> None:
            pooled = self.recall(Pooled)
            if pooled.native:
                unpool(*args, pooled.picks, grad_input=dx)
            else:
                self.backward(top, propagate_down, bottom)

        return [pass_on]


@register("SPP")
class SPP(_Pool):
    """Spatial pyramid pooling: level i pools (N, C, H, W) to about 2^i x 2^i bins.

    The levels are flattened and put side by side: a top of (N, features); a pyramid of one level is a
    plain Pooling with a top of (N, C, 1, 1). `engine` has no effect. Source: Caffe's spp_layer.
    """

    reads = ("spp_param",)
    without_effect = ("spp_param.engine",)
    bottoms = tops = Arity(1)
    _windows: list[PoolWindow]
    saves = "what was picked, for each level"

    def setup(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        self._check_axes(bottom)
        param = self.layer_param.spp_param
        self.check(param.pyramid_height > 0, "pyramid_height must be given and positive")
        self._method = PoolingParameter.PoolMethod.Value(param.PoolMethod.Name(param.pool))
        self.draws_random = self._method == PoolingParameter.STOCHASTIC and self.phase == caffe_pb2.TRAIN

    def reshape(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        self._check_axes(bottom)
        batch, channels, *size = bottom[0].dims
        self.check(min(size) > 0, f"input {bottom[0].dims} has no height or no width")
        self.windows = [self._level(2**i, size) for i in range(self.layer_param.spp_param.pyramid_height)]
        for window in self.windows:
            self._check_window(window, self._method)
        bins = [math.prod(window.places) for window in self.windows]
        single = len(bins) == 1
        top[0].resize((batch, channels, *self.windows[0].places) if single else (batch, channels * sum(bins)))

    @staticmethod
    def _level(bins: int, size: Sequence[int]) -> PoolWindow:
        height, width = size
        kernel = -(-height // bins), -(-width // bins)
        pad = (kernel[0] * bins - height + 1) // 2, (kernel[1] * bins - width + 1) // 2
        return PoolWindow((height, width), kernel, kernel, pad)

    def _levels(self, x: torch.Tensor) -> tuple[Pooled, ...]:
        return tuple(self._pool(x, window, self._method) for window in self.windows)

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        levels = self._levels(bottom[0].value)
        self.saved = levels if self.wants_gradient or self.draws_random else None
        top[0].put(torch.cat([pooled.values.flatten(1) for pooled in levels], 1))

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        if not propagate_down[0]:
            return
        x = bottom[0].value
        levels = self._levels(x) if self.saved is None and not self.draws_random else self.recall(tuple)
        sizes = [pooled.values.shape[1:].numel() for pooled in levels]
        parts = torch.split(top[0].grad.flatten(1), sizes, 1)
        grads = [
            self._unpool(part.reshape(pooled.values.shape), x, pooled, window, self._method)
            for part, pooled, window in zip(parts, levels, self.windows)
        ]
        bottom[0].put_grad(sum(grads[1:], grads[0]))
