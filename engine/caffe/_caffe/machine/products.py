"""Convolution by Winograd's algorithm, compiled: products of transformed tiles of a plane with weights.

The kernels of this package take a range of their work, so that several threads share it. Addresses are in
bytes, offsets in tables count numbers; a plane keeps a row (column) of zeros at 0, and tables send what lies
outside of it there.
"""

from __future__ import annotations

from typing import NamedTuple

from numba import int64, njit

from .compiling import PIECE, Address, compiled
from .simd import LANES, LOWEST, index_at, larger, load, number_of, record, spread, store
from .transforms.toom import short
from .unrolled import COLUMNS, FEW, ROWS, product, product_of_few, transform_in, transform_out

DEPTH = 512  # how much of a product's depth is done before the next: rows of A and a panel of B stay in cache

_into_6 = transform_in(short(4, 3).into)
_back_4_of_6, _back_2_of_6 = transform_out(short(4, 3).back), transform_out(short(2, 5).back)


class Convolution(NamedTuple):
    """A convolution's work: tiles of m x m results, row by row, each from n x n pixels (or its taps)."""

    source: int  #: the input plane
    rows: int  #: per row of tiles, offsets of the n rows that it reads
    columns: int  #: per column of tiles, offsets of the n columns that it reads
    high: int  #: n, or the kernel's height
    wide: int  #: n, or the kernel's width
    across: int  #: columns of tiles
    channels: int  #: of the input
    short: int  #: n and m of Winograd's algorithm, n * 8 + m; 0: none, all taps
    weights: int  #: per product and COLUMNS output channels: (depth, COLUMNS)
    outputs: int  #: output channels, a multiple of COLUMNS
    target: int  #: the output plane
    target_rows: int  #: per row of tiles, offsets of its m rows, -1 where there is none
    target_columns: int  #: the same of columns
    stored: int  #: output channels to store, a multiple of LANES
    scale: int  #: per output channel, what results are multiplied with
    shift: int  #: per output channel, what is added then
    pooled: int = 0  #: 1: the maximum of 2 x 2 is stored; odd entries of the tables: is there a second?
    slope: int = 0  #: the float32 that negative results are multiplied with
    size: int = 0  #: tiles of a piece
    items: int = 0  #: tiles
    broad: int = 0  #: output channels of a piece
    step: int = 0  #: and of the products that are made before results are, a multiple of COLUMNS


_, convolution_at = record(Convolution)


@njit(inline="always")
def read_tiles(g: Convolution, first: int, count: int, into: Address, apart: int) -> None:
    """Transformed pixels: n * n times (count, channels), `apart` numbers from one to the next."""
    for t in range(count):
        rows = g.rows + 8 * g.high * ((first + t) // g.across)
        columns = g.columns + 8 * g.wide * ((first + t) % g.across)
        for c in range(0, g.channels, LANES):
            source, target = g.source + 4 * c, into + 4 * (t * g.channels + c)
            _into_6(source, rows, columns, target, apart)


@njit(inline="always")
def multiply_panels(
    a: Address, b: Address, c: Address, count: int, depth: int, wide: int, after: Address
) -> None:
    """C (count x wide) = A (count x depth) times B, one panel of COLUMNS after another.

    While a panel is at work the next is asked for, and `after` while the last one is. Up to FEW - 1 rows
    after the last of C are written too, and as many after the last of A are read.
    """
    for start in range(0, depth, DEPTH):
        deep, adds = min(DEPTH, depth - start), int64(start > 0)
        for column in range(0, wide, COLUMNS):
            panel = b + 4 * (column * depth + start * COLUMNS)
            last = column + COLUMNS >= wide
            soon = panel + 4 * depth * COLUMNS
            if last:
                soon = b + 4 * (start + deep) * COLUMNS if start + deep < depth else after
            pace = 4 * COLUMNS * ROWS // max(count, ROWS)
            t = 0
            while t < count:
                left, right = a + 4 * (t * depth + start), c + 4 * (t * wide + column)
                if count - t >= ROWS:
                    product(left, panel, right, depth, 1, COLUMNS, wide, deep, adds, soon, pace)
                    t += ROWS
                    soon += deep * pace
                else:
                    part = pace * FEW // ROWS
                    product_of_few(left, panel, right, depth, 1, COLUMNS, wide, deep, adds, soon, part)
                    t += FEW
                    soon += deep * part


@njit(inline="always")
def _write_tiles(
    g: Convolution,
    first: int,
    count: int,
    products: Address,
    channel: int,
    wide: int,
    slope: float,
    tile: Address,
) -> None:
    """Products (n * n, count, wide) of the channels from `channel` on, back to results on the plane."""
    size, apart, step = g.short % 8, count * wide, 1 + g.pooled
    line, places = 4 * LANES * size, size // step
    for t in range(count):
        rows = g.target_rows + 8 * size * ((first + t) // g.across)
        columns = g.target_columns + 8 * size * ((first + t) % g.across)
        for c in range(channel, min(channel + wide, g.stored), LANES):
            source = products + 4 * (t * wide + c - channel)
            scale, shift, target = g.scale + 4 * c, g.shift + 4 * c, g.target + 4 * c
            if size == 4:
                _back_4_of_6(source, apart, tile, scale, shift, slope)
            else:
                _back_2_of_6(source, apart, tile, scale, shift, slope)
            for i in range(0, places * step, step):
                row = index_at(rows + 8 * i)
                for j in range(0, places * step, step):
                    column = index_at(columns + 8 * j)
                    if row < 0 or column < 0:
                        continue
                    at = tile + line * i + 4 * LANES * j
                    best = load(at)
                    if g.pooled:  # what is missing below or beside is looked at twice
                        below = at + line * index_at(rows + 8 * i + 8)
                        beside = 4 * LANES * index_at(columns + 8 * j + 8)
                        best = larger(best, spread(LOWEST))
                        best = larger(load(at + beside), best)
                        best = larger(load(below), best)
                        best = larger(load(below + beside), best)
                    store(best, target + 4 * (row + column))


@compiled(PIECE)
def convolve(work: Address, piece: int, scratch: Address) -> None:
    """A piece of a `Convolution`. `scratch` is as large as `Geometry.scratch` says."""
    g = convolution_at(work)
    parts = -(-g.outputs // g.broad)
    first, channel = piece // parts * g.size, piece % parts * g.broad
    count, wide = min(g.size, g.items - first), min(g.broad, g.outputs - channel)
    products, depth = g.high * g.high, g.channels
    read_tiles(g, first, count, scratch, count * depth)
    made = scratch + 4 * (products * count + FEW) * depth
    made = (made + 63) // 64 * 64
    tile = made + 4 * (products * count + FEW) * min(g.step, wide)
    for start in range(channel, channel + wide, g.step):
        part = min(g.step, channel + wide - start)
        for f in range(products):
            a = scratch + 4 * f * count * depth
            b = g.weights + 4 * depth * (f * g.outputs + start)
            after = b + 4 * depth * g.outputs if f < products - 1 else g.weights + 4 * depth * (start + part)
            multiply_panels(a, b, made + 4 * f * count * part, count, depth, part, after)
        _write_tiles(g, first, count, made, start, part, number_of(g.slope), tile)
