"""Convolutions with more weights than pixels, compiled: products with the weights as they lie in memory.

Legend: t counts output pixels, d = (c, i, j) the taps of a kernel in the order of the weights (O, C, kh, kw);
x is what lies under the taps, (pixels, taps), with rows for pixels up to `wide` of them.
"""

from __future__ import annotations

from typing import NamedTuple

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
    for c in range(first, first + count):
        for i in range(high):
            for j in range(wide):
                tap = (c * high + i) * wide + j
                for t in range(rows.shape[0] * across):
                    row, column = rows[t // across, i], columns[t % across, j]
                    value = plane[row + column + c] if row >= 0 and column >= 0 else float32(0)
                    turned[tap, t] = value
                    if x.shape[0]:
                        x[t, tap] = value


@njit(inline="always")
def product_of_rows(rows, left, right, place, apart_a, deep_b, apart_c, deep, adds):  # type: ignore[no-untyped-def]
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
                    product_of_rows(rows, left, right, place, g.taps, g.wide, g.wide, deep, adds)
