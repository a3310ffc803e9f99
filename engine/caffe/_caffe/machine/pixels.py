"""What takes little arithmetic a pixel, compiled: pooling, depthwise convolution, sums, LRN, upsampling.

Where a kernel reads a record, that ends with how many pixels a piece has, and how many there are.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from numba import float32, njit

from .compiling import PIECE, Address, compiled
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
    number_of,
    put_index,
    put_number,
    record,
    rectified,
    root,
    spread,
    store,
    times,
)


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
    size: int = 0
    items: int = 0


_, _pooling_at = record(Pooling)


@compiled(PIECE)
def pool(work: Address, piece: int, found: Address) -> None:
    """A piece of a `Pooling`; `found` has room for an address of each pixel under a window.

    A maximum starts from -FLT_MAX, is never NaN, as in Caffe.
    """
    g = _pooling_at(work)
    for t in range(piece * g.size, min((piece + 1) * g.size, g.items)):
        down, right = t // g.across, t % g.across
        target = g.target + 4 * (index_at(g.target_rows + 8 * down) + index_at(g.target_columns + 8 * right))
        rows, columns = g.rows + 8 * g.high * down, g.columns + 8 * g.wide * right
        end = found
        for i in range(g.high):
            row = index_at(rows + 8 * i)
            for j in range(g.wide):
                column = index_at(columns + 8 * j)
                if row >= 0 and column >= 0:
                    put_index(g.source + 4 * (row + column), end)
                    end += 8
        area = float32(1)
        if g.column_sizes:
            area = float32(index_at(g.row_sizes + 8 * down) * index_at(g.column_sizes + 8 * right))
        for c in range(0, 4 * g.lanes, 4 * LANES):
            total, best = spread(float32(0)), spread(LOWEST)
            for at in range(found, end, 8):
                value = load(index_at(at) + c)
                total, best = add(value, total), larger(value, best)
            store(divide(total, spread(area)) if g.column_sizes else best, target + c)


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
    slope: int  #: the float32 that negative results are multiplied with
    size: int = 0
    items: int = 0


_, _depthwise_at = record(Depthwise)


@compiled(PIECE)
def convolve_each(work: Address, piece: int, found: Address) -> None:
    """A piece of a `Depthwise`; `found` has room for an address of each tap."""
    g = _depthwise_at(work)
    slopes, taps = spread(number_of(g.slope)), g.high * g.wide
    for t in range(piece * g.size, min((piece + 1) * g.size, g.items)):
        down, right = t // g.across, t % g.across
        target = g.target + 4 * (index_at(g.target_rows + 8 * down) + index_at(g.target_columns + 8 * right))
        rows, columns = g.rows + 8 * g.high * down, g.columns + 8 * g.wide * right
        for i in range(g.high):
            row = g.source + 4 * index_at(rows + 8 * i)
            for j in range(g.wide):
                put_index(row + 4 * index_at(columns + 8 * j), found + 8 * (i * g.wide + j))
        c, last = 0, 4 * (g.lanes - LANES)
        while c <= last:
            d = min(c + 4 * LANES, last)  # two at a time, so that one need not wait for the other
            total = other = spread(float32(0))
            weights = g.weights
            for at in range(found, found + 8 * taps, 8):
                pixel = index_at(at)
                total = fma(load(pixel + c), load(weights + c), total)
                other = fma(load(pixel + d), load(weights + d), other)
                weights += 4 * g.lanes
            total = fma(total, load(g.scale + c), load(g.shift + c))
            other = fma(other, load(g.scale + d), load(g.shift + d))
            store(rectified(total, slopes), target + c)
            store(rectified(other, slopes), target + d)
            c = d + 4 * LANES


class Mixture(NamedTuple):
    """target = rectified(by_a * a + by_b * b), number by number."""

    a: int
    by_a: int  #: a float32, as all of these
    b: int
    by_b: int
    target: int
    slope: int  #: what negative results are multiplied with
    lanes: int  #: of a pixel
    size: int = 0
    items: int = 0


_, _mixture_at = record(Mixture)


@compiled(PIECE)
def mix(work: Address, piece: int, _: Address) -> None:
    """A piece of a `Mixture`."""
    g = _mixture_at(work)
    left, right, slopes = spread(number_of(g.by_a)), spread(number_of(g.by_b)), spread(number_of(g.slope))
    pixel = 4 * g.lanes
    for at in range(pixel * piece * g.size, pixel * min((piece + 1) * g.size, g.items), 4 * LANES):
        value = fma(load(g.a + at), left, times(load(g.b + at), right))
        store(rectified(value, slopes), g.target + at)


class Copy(NamedTuple):
    """Pixels to where they are part of larger ones."""

    source: int
    lanes: int  #: of a pixel
    target: int
    apart: int  #: lanes of a larger pixel
    size: int = 0
    items: int = 0


_, _copy_at = record(Copy)


@compiled(PIECE)
def copy(work: Address, piece: int, _: Address) -> None:
    """A piece of a `Copy`."""
    g = _copy_at(work)
    for t in range(piece * g.size, min((piece + 1) * g.size, g.items)):
        for c in range(0, 4 * g.lanes, 4 * LANES):
            store(load(g.source + 4 * g.lanes * t + c), g.target + 4 * g.apart * t + c)


class Adjustment(NamedTuple):
    """target = rectified(scale * source + shift) per channel; rows and columns of zeros stay."""

    source: int
    target: int
    lanes: int  #: of a pixel
    scale: int  #: per channel
    shift: int  #: per channel
    slope: int  #: the float32 that negative results are multiplied with
    wide: int  #: columns of the plane
    high: int  #: rows of an image in it, the first of zeros
    margin: int  #: columns of zeros at the start of a row
    size: int = 0
    items: int = 0


_, _adjustment_at = record(Adjustment)


@compiled(PIECE)
def adjust(work: Address, piece: int, _: Address) -> None:
    """A piece of an `Adjustment`."""
    g = _adjustment_at(work)
    slopes = spread(number_of(g.slope))
    for t in range(piece * g.size, min((piece + 1) * g.size, g.items)):
        if t % g.wide < g.margin or t // g.wide % g.high == 0:
            continue
        at = 4 * g.lanes * t
        for c in range(0, 4 * g.lanes, 4 * LANES):
            value = fma(load(g.source + at + c), load(g.scale + c), load(g.shift + c))
            store(rectified(value, slopes), g.target + at + c)


class Softmax(NamedTuple):
    """target = e^source / its sum over the channels, pixel by pixel; rows and columns of zeros stay."""

    source: int
    target: int
    lanes: int  #: of a pixel
    channels: int
    wide: int  #: columns of the plane
    high: int  #: rows of an image in it, the first of zeros
    margin: int  #: columns of zeros at the start of a row
    size: int = 0
    items: int = 0


_, _softmax_at = record(Softmax)


@compiled(PIECE)
def softmax(work: Address, piece: int, _: Address) -> None:
    """A piece of a `Softmax`. Channels that there are not stay as they are."""
    g = _softmax_at(work)
    for t in range(piece * g.size, min((piece + 1) * g.size, g.items)):
        if t % g.wide < g.margin or t // g.wide % g.high == 0:
            continue
        source, target = g.source + 4 * g.lanes * t, g.target + 4 * g.lanes * t
        most, total = number_at(source), float32(0)
        for c in range(0, 4 * g.channels, 4):
            most = max(most, number_at(source + c))
        for c in range(0, 4 * g.channels, 4):
            value = float32(math.exp(number_at(source + c) - most))
            total += value
            put_number(value, target + c)
        for c in range(0, 4 * g.channels, 4):
            put_number(number_at(target + c) / total, target + c)


class Normalization(NamedTuple):
    """LRN across channels with beta 0.75: target = source * (k + weight * sum of squares)^-0.75."""

    source: int
    target: int
    lanes: int  #: of a pixel
    channels: int
    half: int  #: channels to either side that are summed too
    weight: int  #: a float32
    k: int  #: a float32
    size: int = 0
    items: int = 0


_, _normalization_at = record(Normalization)


@compiled(PIECE)
def normalize(work: Address, piece: int, squares: Address) -> None:
    """A piece of a `Normalization`; `squares` has room for those of a pixel, with `half` zeros around."""
    g = _normalization_at(work)
    weight, k, one = spread(number_of(g.weight)), spread(number_of(g.k)), spread(float32(1))
    for c in range(g.half):
        put_number(float32(0), squares + 4 * c)
    for t in range(piece * g.size, min((piece + 1) * g.size, g.items)):
        source, target = g.source + 4 * g.lanes * t, g.target + 4 * g.lanes * t
        for c in range(0, 4 * g.lanes, 4 * LANES):
            value = load(source + c)
            store(times(value, value), squares + 4 * g.half + c)
        for c in range(g.channels, g.lanes + g.half):
            put_number(float32(0), squares + 4 * (g.half + c))
        for c in range(0, 4 * g.lanes, 4 * LANES):
            total = load(squares + c)
            for other in range(c + 4, c + 4 * (2 * g.half + 1), 4):
                total = add(total, load(squares + other))
            power = divide(one, root(fma(weight, total, k)))
            store(times(load(source + c), times(power, root(power))), target + c)
        for c in range(g.channels, g.lanes):
            put_number(float32(0), target + 4 * c)


@njit(inline="always")
def line_of(across: int, wide: int) -> int:
    """Numbers of a line: a row of the result, a kernel's width to either side, whole vectors."""
    return (across + 2 * wide + 2 * LANES) // LANES * LANES


class Upscaling(NamedTuple):
    """Deconvolution of each channel by its own kernel, row by row of all target maps."""

    maps: int  #: (N * C, height, width)
    weights: int  #: (C, high, deep)
    bias: int  #: (C)
    target: int  #: (N * C, rows, across), a cut of the result
    channels: int
    height: int
    width: int
    high: int  #: the kernel's height
    wide: int  #: the kernel's width
    deep: int  #: the same up to a multiple of LANES: zeros fill it up
    rows: int
    across: int
    stride_y: int
    stride_x: int
    top: int  #: which row of the padded result the first of the cut is
    left: int  #: and which column
    size: int = 0
    items: int = 0


_, _upscaling_at = record(Upscaling)


@compiled(PIECE)
def upscale(work: Address, piece: int, lines: Address) -> None:
    """A piece of an `Upscaling`.

    What a column of the map makes overlaps what its neighbours make. So every n-th column writes to the same
    one of n lines, where it overlaps nothing but the next one's beginning with zeros, and the sum of the
    lines is the result. `lines` has room for n times `line_of` numbers.
    """
    g = _upscaling_at(work)
    line, count = 4 * line_of(g.across, g.wide), -(-g.wide // g.stride_x)
    for at in range(0, count * line, 4 * LANES):
        store(spread(float32(0)), lines + at)
    first = max(0, (g.left - g.wide) // g.stride_x + 1)
    end = min(g.width, (g.left + g.across - 1) // g.stride_x + 1)
    for item in range(piece * g.size, min((piece + 1) * g.size, g.items)):
        number, y = item // g.rows, item % g.rows + g.top
        kernel = g.weights + 4 * (number % g.channels) * g.high * g.deep
        top, bottom = max(0, (y - g.high) // g.stride_y + 1), min(g.height, y // g.stride_y + 1)
        maps = g.maps + 4 * number * g.height * g.width
        for j in range(first, end):
            to = lines + j % count * line + 4 * (j * g.stride_x - g.left + g.wide)
            for k in range(0, 4 * g.deep, 4 * LANES):
                total = spread(float32(0))
                for i in range(top, bottom):
                    taps = kernel + 4 * (y - i * g.stride_y) * g.deep + k
                    total = fma(spread(number_at(maps + 4 * (i * g.width + j))), load(taps), total)
                store(total, to + k)
        target, bias = g.target + 4 * item * g.across, number_at(g.bias + 4 * (number % g.channels))
        for x in range(0, 4 * g.across, 4 * LANES):
            total = spread(bias)
            for at in range(lines + 4 * g.wide + x, lines + 4 * g.wide + x + count * line, line):
                total = add(total, load(at))
            if x + 4 * LANES <= 4 * g.across:
                store(total, target + x)
                continue
            store(total, lines)
            for left in range(0, 4 * g.across - x, 4):
                put_number(number_at(lines + left), target + x + left)
            store(spread(float32(0)), lines)
