"""Convolutions with more weights than pixels, compiled: products with the weights as they lie in memory.

Legend: t counts output pixels, d = (c, i, j) the taps of a kernel in the order of the weights (O, C, kh, kw);
x is what lies under the taps, (pixels, taps), with rows for pixels up to `wide` of them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import float32, int64, njit, types, void

from .compiling import Address, Array, compiled
from .simd import COLUMNS, FEW, ROWS, product, product_of_few

DEPTH = 512  # how much of a product's depth is done before the next
GROUPS = 8  # groups of ROWS rows that share a panel of the other side


class Dense(NamedTuple):
    """The numbers of a dense convolution."""

    pixels: int
    wide: int  #: pixels, up to a multiple of COLUMNS
    taps: int  #: a multiple of COLUMNS
    outputs: int  #: a multiple of FEW


_DENSE = types.NamedUniTuple(int64, len(Dense._fields), Dense)
_TABLE = int64[:, ::1]


@compiled(void(float32[::1], _TABLE, _TABLE, float32[:, ::1], float32[:, ::1], int64, int64))
def gather(
    plane: Array, rows: Array, columns: Array, x: Array, turned: Array, first: int, count: int
) -> None:
    """x (pixels, taps) and `turned`, its transpose, of channels `first` on; -1 in a table is 0."""
    high, wide, across = rows.shape[1], columns.shape[1], columns.shape[0]
    for c in range(first, first + count):
        for i in range(high):
            for j in range(wide):
                tap = (c * high + i) * wide + j
                for t in range(rows.shape[0] * across):
                    row, column = rows[t // across, i], columns[t % across, j]
                    value = plane[row + column + c] if row >= 0 and column >= 0 else float32(0)
                    x[t, tap] = value
                    turned[tap, t] = value


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


@njit(inline="always")
def _product(rows, left, right, place, apart_a, deep_b, apart_c, deep, adds):  # type: ignore[no-untyped-def]
    """`rows` rows of A (rows x deep), whose depth is contiguous, times B: at most ROWS, a multiple of FEW."""
    if rows == ROWS:
        product(left, right, place, apart_a, 1, deep_b, apart_c, deep, adds)
        return
    for row in range(0, rows, FEW):
        product_of_few(
            left + 4 * row * apart_a,
            right,
            place + 4 * row * apart_c,
            apart_a,
            1,
            deep_b,
            apart_c,
            deep,
            adds,
        )


@compiled(void(_DENSE, int64, int64, int64, int64, int64))
def multiply(g: Dense, weights: Address, turned: Address, made: Address, first: int, count: int) -> None:
    """made (outputs, wide) = weights (outputs, taps) turned (taps, wide); groups of ROWS outputs."""
    for block in range(first, first + count, GROUPS):
        last = min(block + GROUPS, first + count)
        for start in range(0, g.taps, DEPTH):
            deep, adds = min(DEPTH, g.taps - start), int64(start > 0)
            for column in range(0, g.wide, COLUMNS):
                right = turned + 4 * (start * g.wide + column)
                for group in range(block, last):
                    row = group * ROWS
                    left, place = weights + 4 * (row * g.taps + start), made + 4 * (row * g.wide + column)
                    rows = min(ROWS, g.outputs - row)
                    _product(rows, left, right, place, g.taps, g.wide, g.wide, deep, adds)


@compiled(void(_DENSE, int64, int64, float32[:, ::1], int64, int64, int64))
def weight_gradient(
    g: Dense, grads: Address, sums: Address, x: Array, adds: int, first: int, count: int
) -> None:
    """sums (outputs, taps) = or += grads (outputs, wide) x (pixels, taps); panels of COLUMNS taps."""
    panel = np.zeros((g.pixels, COLUMNS), np.float32)
    for column in range(first * COLUMNS, (first + count) * COLUMNS, COLUMNS):
        for t in range(g.pixels):
            for lane in range(COLUMNS):
                panel[t, lane] = x[t, column + lane]
        for row in range(0, g.outputs, ROWS):
            place = sums + 4 * (row * g.taps + column)
            left, rows = grads + 4 * row * g.wide, min(ROWS, g.outputs - row)
            _product(rows, left, panel.ctypes.data, place, g.wide, COLUMNS, g.taps, g.pixels, adds)


@compiled(void(_DENSE, int64, float32[:, ::1], int64, int64, int64))
def input_gradient(g: Dense, grads: Address, weights: Array, x: Address, first: int, count: int) -> None:
    """x (pixels, taps) = transposed grads (outputs, wide) times weights (outputs, taps); panels of taps.

    Up to ROWS - 1 rows after the last of x are written too, and as many numbers after `grads` are read.
    """
    panel = np.zeros((DEPTH, COLUMNS), np.float32)
    for column in range(first * COLUMNS, (first + count) * COLUMNS, COLUMNS):
        for start in range(0, g.outputs, DEPTH):
            deep, adds = min(DEPTH, g.outputs - start), int64(start > 0)
            for o in range(deep):
                for lane in range(COLUMNS):
                    panel[o, lane] = weights[start + o, column + lane]
            for t in range(0, g.pixels, ROWS):
                left, place = grads + 4 * (start * g.wide + t), x + 4 * (t * g.taps + column)
                product(left, panel.ctypes.data, place, 1, g.wide, COLUMNS, g.taps, deep, adds)
