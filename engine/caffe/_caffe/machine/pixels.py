"""What takes little arithmetic a pixel, compiled: pooling, depthwise convolution, sums, LRN, upsampling."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import float32, int64, types, void

from .compiling import Address, Array, compiled
from .simd import (
    LANES,
    LOWEST,
    add,
    divide,
    fma,
    index_at,
    larger,
    load,
    number_at,
    put_number,
    rectified,
    spread,
    store,
    times,
)  # fmt: skip


class Pooling(NamedTuple):
    """The work of a pooling, pixel by pixel of its output."""

    source: int  #: the input plane
    rows: int  #: per output row, offsets of the rows under the window, -1 for those outside
    columns: int  #: the same of columns
    high: int  #: rows under a window
    wide: int  #: columns under a window
    across: int  #: output columns
    lanes: int  #: of a pixel, in and out
    target: int  #: the output plane
    target_rows: int  #: per output row, its offset
    target_columns: int  #: per output column, its offset
    row_sizes: int  #: AVE: per output row, the window's height in the padded input
    column_sizes: int  #: AVE: per output column, its width; 0: the maximum is asked for


_POOLING = types.NamedUniTuple(int64, len(Pooling._fields), Pooling)


@compiled(void(_POOLING, int64, int64))
def pool(g: Pooling, first: int, count: int) -> None:
    """Output pixels `first` to `first + count`. A maximum starts from -FLT_MAX, is never NaN, as in Caffe."""
    for t in range(first, first + count):
        down, right = t // g.across, t % g.across
        target = g.target + 4 * (index_at(g.target_rows + 8 * down) + index_at(g.target_columns + 8 * right))
        rows, columns = g.rows + 8 * g.high * down, g.columns + 8 * g.wide * right
        area = float32(0)
        if g.column_sizes:
            area = float32(index_at(g.row_sizes + 8 * down) * index_at(g.column_sizes + 8 * right))
        for c in range(0, 4 * g.lanes, 4 * LANES):
            found = spread(float32(0) if g.column_sizes else LOWEST)
            for i in range(g.high):
                row = index_at(rows + 8 * i)
                if row < 0:
                    continue
                for j in range(g.wide):
                    column = index_at(columns + 8 * j)
                    if column < 0:
                        continue
                    value = load(g.source + 4 * (row + column) + c)
                    found = add(found, value) if g.column_sizes else larger(value, found)
            if g.column_sizes:
                found = divide(found, spread(area))
            store(found, target + c)


class Depthwise(NamedTuple):
    """A convolution of each channel with one kernel of its own, pixel by pixel of its output."""

    source: int  #: the input plane
    rows: int  #: per output row, offsets of the rows under the taps
    columns: int  #: per output column, offsets of the columns under the taps
    high: int  #: the kernel's height
    wide: int  #: the kernel's width
    across: int  #: output columns
    lanes: int  #: of a pixel, in and out
    weights: int  #: (taps, lanes)
    target: int  #: the output plane
    target_rows: int  #: per output row, its offset
    target_columns: int  #: per output column, its offset
    scale: int  #: per channel, what results are multiplied with
    shift: int  #: per channel, what is added then


_DEPTHWISE = types.NamedUniTuple(int64, len(Depthwise._fields), Depthwise)


@compiled(void(_DEPTHWISE, float32, int64, int64))
def convolve_each(g: Depthwise, slope: float, first: int, count: int) -> None:
    """Output pixels `first` to `first + count`."""
    slopes = spread(slope)
    for t in range(first, first + count):
        down, right = t // g.across, t % g.across
        target = g.target + 4 * (index_at(g.target_rows + 8 * down) + index_at(g.target_columns + 8 * right))
        rows, columns = g.rows + 8 * g.high * down, g.columns + 8 * g.wide * right
        for c in range(0, 4 * g.lanes, 4 * LANES):
            total = spread(float32(0))
            weights = g.weights + c
            for i in range(g.high):
                row = g.source + 4 * index_at(rows + 8 * i) + c
                for j in range(g.wide):
                    total = fma(load(row + 4 * index_at(columns + 8 * j)), load(weights), total)
                    weights += 4 * g.lanes
            total = fma(total, load(g.scale + c), load(g.shift + c))
            store(rectified(total, slopes), target + c)


@compiled(void(int64, float32, int64, float32, int64, float32, int64, int64))
def mix(
    a: Address, by_a: float, b: Address, by_b: float, target: Address, slope: float, first: int, count: int
) -> None:
    """target = rectified(by_a * a + by_b * b), numbers `first` to `first + count` (multiples of LANES)."""
    left, right, slopes = spread(by_a), spread(by_b), spread(slope)
    for at in range(4 * first, 4 * (first + count), 4 * LANES):
        value = fma(load(a + at), left, times(load(b + at), right))
        store(rectified(value, slopes), target + at)


@compiled(void(int64, int64, int64, int64, int64, float32, int64, int64))
def adjust(
    source: Address,
    target: Address,
    lanes: int,
    scale: Address,
    shift: Address,
    slope: float,
    first: int,
    count: int,
) -> None:
    """target = rectified(scale * source + shift) per channel, pixels `first` to `first + count`."""
    slopes = spread(slope)
    for t in range(first, first + count):
        at = 4 * lanes * t
        for c in range(0, 4 * lanes, 4 * LANES):
            value = fma(load(source + at + c), load(scale + c), load(shift + c))
            store(rectified(value, slopes), target + at + c)


@compiled(void(int64, int64, int64, int64, int64, float32, float32, int64, int64))
def normalize(
    source: Address,
    target: Address,
    lanes: int,
    channels: int,
    half: int,
    weight: float,
    k: float,
    first: int,
    count: int,
) -> None:
    """LRN across channels with beta 0.75: pixels `first` to `first + count`."""
    for t in range(first, first + count):
        at = 4 * lanes * t
        for c in range(channels):
            total = float32(0)
            for other in range(max(0, c - half), min(channels, c + half + 1)):
                value = number_at(source + at + 4 * other)
                total += value * value
            root = float32(1) / np.sqrt(k + weight * total)
            put_number(number_at(source + at + 4 * c) * (root * np.sqrt(root)), target + at + 4 * c)
        for c in range(channels, lanes):
            put_number(float32(0), target + at + 4 * c)


@compiled(
    void(float32[:, :, ::1], float32[:, :, ::1], float32[::1], float32[:, :, ::1], int64[::1], int64, int64)
)
def upscale(
    maps: Array, weights: Array, bias: Array, target: Array, window: Array, first: int, count: int
) -> None:
    """Deconvolution of each channel by its own kernel: rows `first` to `first + count` of all target maps.

    Args:
        maps: (N * C, h, w). weights: (C, kh, kw). bias: (C). target: (N * C, H, W), a cut of the result.
        window: stride, pad and the cut's offset, of rows and columns.
    """
    stride_y, stride_x, pad_y, pad_x, cut_y, cut_x = window
    channels, high, wide = weights.shape
    height, width = target.shape[1:]
    row = np.empty(width + 2 * wide, np.float32)
    for item in range(first, first + count):
        number, y = item // height, item % height
        kernel, source = weights[number % channels], maps[number]
        for x in range(width + 2 * wide):
            row[x] = bias[number % channels]
        top, left = y + cut_y + pad_y, cut_x + pad_x
        for i in range(max(0, (top - high) // stride_y + 1), min(source.shape[0], top // stride_y + 1)):
            taps, values = kernel[top - i * stride_y], source[i]
            start = max(0, (left - wide) // stride_x + 1)
            for j in range(start, min(source.shape[1], (left + width - 1) // stride_x + 1)):
                at = j * stride_x - left + wide
                for k in range(wide):
                    row[at + k] += values[j] * taps[k]
        for x in range(width):
            target[number, y, x] = row[wide + x]
