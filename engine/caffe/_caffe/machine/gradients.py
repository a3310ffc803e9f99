"""The loops of backward passes, compiled: gradients of weights and of what they were multiplied with."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import float32, int64, njit, types, void

from .compiling import Address, Array, compiled
from .dense import DENSE, DEPTH, Dense, product_of_rows
from .products import CONVOLUTION, Convolution, read_tiles
from .simd import LANES, index_at, load, number_at, put_number, store
from .transforms.toom import short
from .unrolled import COLUMNS, ROWS, product, transform_in


def _turned(matrix: tuple[tuple[float, ...], ...]) -> list[tuple[float, ...]]:
    return list(zip(*matrix))


_from_4_to_6, _from_2_to_6 = transform_in(_turned(short(4, 3).back)), transform_in(_turned(short(2, 5).back))


@njit(inline="always")
def _read_taps(g: Convolution, first: int, count: int, into: Address) -> None:
    """The pixels under all taps: (count, taps * channels).

    Taps of a row that are neighbours are copied together, a vector at a time, where what is copied too much
    is written over by the tiles that follow.
    """
    target, line = into, g.wide * g.channels
    followed = first + count - (LANES + g.high * line - 1) // (g.high * line)
    for t in range(first, first + count):
        rows = g.rows + 8 * g.high * (t // g.across)
        columns = g.columns + 8 * g.wide * (t % g.across)
        left, right = index_at(columns), index_at(columns + 8 * (g.wide - 1))
        together = t < followed and right - left == line - g.channels
        for i in range(g.high):
            row = g.source + 4 * index_at(rows + 8 * i)
            if together:
                for c in range(0, 4 * line, 4 * LANES):
                    store(load(row + 4 * left + c), target + c)
                target += 4 * line
                continue
            for j in range(g.wide):
                pixel = row + 4 * index_at(columns + 8 * j)
                if g.channels % LANES == 0:
                    for c in range(0, 4 * g.channels, 4 * LANES):
                        store(load(pixel + c), target + c)
                else:
                    for c in range(0, 4 * g.channels, 4):
                        put_number(number_at(pixel + c), target + c)
                target += 4 * g.channels


@compiled(void(CONVOLUTION, int64, int64, int64, int64, int64))
def fill(g: Convolution, first: int, count: int, into: Address, grads: Address, tiles: int) -> None:
    """Tiles of the input and of the top's gradient, `first` to `first + count`, transformed for the products.

    Args:
        g: `target` is the plane of the gradient; its tables send what is not there to zeros.
        into, grads: (products, tiles, channels) and (products, tiles, outputs), of the first tile to fill.
    """
    if not g.short:
        _read_taps(g, first, count, into)
        for t in range(count):
            row = index_at(g.target_rows + 8 * ((first + t) // g.across))
            column = index_at(g.target_columns + 8 * ((first + t) % g.across))
            source, target = g.target + 4 * (row + column), grads + 4 * t * g.outputs
            for c in range(0, 4 * g.stored, 4 * LANES):
                store(load(source + c), target + c)
        return
    read_tiles(g, first, count, into, tiles * g.channels)
    size, apart = g.short % 8, tiles * g.outputs
    for t in range(count):
        rows = g.target_rows + 8 * size * ((first + t) // g.across)
        columns = g.target_columns + 8 * size * ((first + t) % g.across)
        for c in range(0, g.stored, LANES):
            source, target = g.target + 4 * c, grads + 4 * (t * g.outputs + c)
            if size == 4:
                _from_4_to_6(source, rows, columns, target, apart)
            else:
                _from_2_to_6(source, rows, columns, target, apart)


class Correlation(NamedTuple):
    """Products over tiles: for each f, sums = or += into' (depth x tiles) times grads (tiles x outputs)."""

    into: int  #: (products, tiles, depth), and ROWS numbers more that may be read
    grads: int  #: (products, tiles, outputs)
    sums: int  #: (rows, products, outputs); the rows from depth on mean nothing
    products: int
    tiles: int
    depth: int
    rows: int  #: depth, up to a multiple of ROWS
    outputs: int  #: a multiple of COLUMNS
    adds: int  #: 0: the sums start anew


_CORRELATION = types.NamedUniTuple(int64, len(Correlation._fields), Correlation)


@compiled(void(_CORRELATION, int64, int64))
def correlate(g: Correlation, first: int, count: int) -> None:
    """Groups of ROWS rows, `first` to `first + count`, of those of all sums one after another."""
    groups = g.rows // ROWS
    for item in range(first, first + count):
        f, row = item // groups, item % groups * ROWS
        left = g.into + 4 * (f * g.tiles * g.depth + row)
        right = g.grads + 4 * f * g.tiles * g.outputs
        place, apart = g.sums + 4 * (row * g.products + f) * g.outputs, g.products * g.outputs
        for column in range(0, 4 * g.outputs, 4 * COLUMNS):
            product(
                left, right + column, place + column, 1, g.depth, g.outputs, apart, g.tiles, g.adds, left, 0
            )


_TABLE = int64[:, ::1]


#: Panels of COLUMNS taps that are done together: so much of a row lies on few pages of memory.
PANELS = 8
CACHE_LINE = 16  # numbers


@njit(inline="always")
def _copy_panels(source: Address, apart: int, rows: int, panels: Address, found: int) -> None:
    """Rows of numbers, `apart` from one to the next, to (found, rows, COLUMNS)."""
    for i in range(rows):
        place = panels + 4 * i * COLUMNS
        for p in range(found):
            for lane in range(0, 4 * COLUMNS, 4 * LANES):
                at = source + 4 * (i * apart + p * COLUMNS) + lane
                store(load(at), place + 4 * p * rows * COLUMNS + lane)


@compiled(void(DENSE, int64, int64, int64, int64, int64, int64))
def weight_gradient(
    g: Dense, grads: Address, sums: Address, x: Address, adds: int, first: int, count: int
) -> None:
    """sums (outputs, taps) = or += grads (outputs, wide) x (pixels, taps); groups of PANELS panels."""
    panels = np.empty((PANELS, g.pixels, COLUMNS), np.float32)
    copy = panels.ctypes.data
    steps = (g.wide, COLUMNS, g.taps)
    for group in range(first, first + count):
        column = group * PANELS * COLUMNS
        found = min(PANELS, (g.taps - column) // COLUMNS)
        _copy_panels(x + 4 * column, g.taps, g.pixels, copy, found)
        for row in range(0, g.outputs, ROWS):
            left, rows = grads + 4 * row * g.wide, min(ROWS, g.outputs - row)
            for p in range(found):
                right = copy + 4 * p * g.pixels * COLUMNS
                place = sums + 4 * (row * g.taps + column + p * COLUMNS)
                product_of_rows(rows, left, right, place, steps, g.pixels, adds, left, 0)


@compiled(void(DENSE, int64, int64, int64, int64, int64))
def input_gradient(g: Dense, grads: Address, weights: Address, x: Address, first: int, count: int) -> None:
    """x (pixels, taps) = transposed grads (outputs, wide) times weights; groups of PANELS panels of taps.

    Up to ROWS - 1 rows after the last of x are written too, and as many numbers after `grads` are read. The
    first products ask for the weights that are copied next, a cache line of each row at a time.
    """
    panels = np.empty((PANELS, DEPTH, COLUMNS), np.float32)
    copy = panels.ctypes.data
    for group in range(first, first + count):
        column = group * PANELS * COLUMNS
        found = min(PANELS, (g.taps - column) // COLUMNS)
        for start in range(0, g.outputs, DEPTH):
            deep, adds = min(DEPTH, g.outputs - start), int64(start > 0)
            _copy_panels(weights + 4 * (start * g.taps + column), g.taps, deep, copy, found)
            lines, soon = found * COLUMNS // CACHE_LINE, weights + 4 * ((start + deep) * g.taps + column)
            if start + deep >= g.outputs:
                soon = weights + 4 * (column + found * COLUMNS)
            for t in range(0, g.pixels, ROWS):
                left = grads + 4 * (start * g.wide + t)
                for p in range(found):
                    part = t // ROWS * found + p
                    ask, pace = (soon + 4 * part * CACHE_LINE, 4 * g.taps) if part < lines else (left, 0)
                    right = copy + 4 * p * deep * COLUMNS
                    place = x + 4 * (t * g.taps + column + p * COLUMNS)
                    product(left, right, place, 1, g.wide, COLUMNS, g.taps, deep, adds, ask, pace)


@compiled(void(float32[:, ::1], _TABLE, _TABLE, float32[::1], int64, int64))
def scatter(x: Array, rows: Array, columns: Array, plane: Array, first: int, count: int) -> None:
    """Add x (pixels, taps) to the pixels under the taps, channels `first` to `first + count`."""
    high, wide, across = rows.shape[1], columns.shape[1], columns.shape[0]
    for t in range(rows.shape[0] * across):
        for i in range(high):
            row = rows[t // across, i]
            for j in range(wide):
                column = columns[t % across, j]
                if row >= 0 and column >= 0:
                    for c in range(first, first + count):
                        plane[row + column + c] += x[t, (c * high + i) * wide + j]
