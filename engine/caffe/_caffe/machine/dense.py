"""Convolutions with more weights than pixels, compiled: products with the weights as they lie in memory.

Legend: t counts output pixels, d = (c, i, j) the taps of a kernel in the order of the weights (O, C, kh, kw);
x is what lies under the taps, (pixels, taps), with rows for pixels up to `wide` of them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import float32, int64, njit, types, void

from .compiling import Address, Array, compiled
from .simd import COLUMNS, FEW, LANES, ROWS, load, product, product_of_few, store

DEPTH = 512  # how much of a product's depth is done before the next
BLOCK = 16 * ROWS  # outputs that share a panel of the other side


class Dense(NamedTuple):
    """The numbers of a dense convolution."""

    pixels: int
    wide: int  #: pixels, up to a multiple of COLUMNS
    taps: int  #: a multiple of COLUMNS
    outputs: int  #: a multiple of FEW


DENSE = types.NamedUniTuple(int64, len(Dense._fields), Dense)
_TABLE = int64[:, ::1]


@compiled(void(float32[::1], _TABLE, _TABLE, float32[:, ::1], float32[:, ::1], int64, int64))
def gather(
    plane: Array, rows: Array, columns: Array, x: Array, turned: Array, first: int, count: int
) -> None:
    """x (pixels, taps), if it has rows, and `turned`, its transpose; -1 in a table is 0.

    Channels `first` to `first + count`.
    """
    high, wide, across = rows.shape[1], columns.shape[1], columns.shape[0]
    pixels = rows.shape[0] * across
    places = np.empty(pixels, np.int64)
    for i in range(high):
        for j in range(wide):
            for t in range(pixels):
                row, column = rows[t // across, i], columns[t % across, j]
                places[t] = row + column if row >= 0 and column >= 0 else -1
            for c in range(first, first + count):
                tap = (c * high + i) * wide + j
                for t in range(pixels):
                    turned[tap, t] = plane[places[t] + c] if places[t] >= 0 else float32(0)
                if x.shape[0]:
                    for t in range(pixels):
                        x[t, tap] = turned[tap, t]


@njit(inline="always")
def product_of_rows(
    rows: int,
    left: Address,
    right: Address,
    place: Address,
    apart_a: int,
    deep_b: int,
    apart_c: int,
    deep: int,
    adds: int,
) -> None:
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


@compiled(void(DENSE, int64, int64, int64, int64, int64))
def multiply(g: Dense, weights: Address, turned: Address, made: Address, first: int, count: int) -> None:
    """made (outputs, wide) = weights (outputs, taps) turned (taps, wide); blocks of BLOCK outputs."""
    panel = np.empty((DEPTH, COLUMNS), np.float32)
    right = panel.ctypes.data
    for block in range(first, first + count):
        last = min((block + 1) * BLOCK, g.outputs)
        for start in range(0, g.taps, DEPTH):
            deep, adds = min(DEPTH, g.taps - start), int(start > 0)
            for column in range(0, g.wide, COLUMNS):
                for d in range(deep):
                    source, target = turned + 4 * ((start + d) * g.wide + column), right + 4 * d * COLUMNS
                    for lane in range(0, 4 * COLUMNS, 4 * LANES):
                        store(load(source + lane), target + lane)
                for row in range(block * BLOCK, last, ROWS):
                    left, place = weights + 4 * (row * g.taps + start), made + 4 * (row * g.wide + column)
                    rows = min(ROWS, g.outputs - row)
                    product_of_rows(rows, left, right, place, g.taps, COLUMNS, g.wide, deep, adds)
