"""Gradients that pass on without a product, compiled: through rectifiers and poolings, and their sums."""

from __future__ import annotations

from typing import NamedTuple

from numba import float32, int64, types, void

from .compiling import Address, Array, compiled
from .simd import (
    LANES,
    LOWEST,
    add,
    index_at,
    larger,
    load,
    passed,
    spread,
    store,
    where_equal,
    where_unequal,
)


@compiled(void(int64, int64, int64, float32, int64, int64))
def mask(values: Address, grads: Address, lanes: int, slope: float, first: int, count: int) -> None:
    """grads *= 1 where a rectifier's results are above zero, else its slope; pixels `first` on."""
    slopes = spread(slope)
    for at in range(4 * lanes * first, 4 * lanes * (first + count), 4 * LANES):
        store(passed(load(values + at), load(grads + at), slopes), grads + at)


class Folding(NamedTuple):
    """A gradient of every pixel, summed over the pixels that a plane keeps once."""

    values: int  #: the plane of the rectifier's results
    grads: int  #: the gradient, a plane with every row and column
    folded: int  #: a plane that keeps equal rows and columns once
    lanes: int  #: of a pixel, in all three
    parts: int  #: how many parts a row of `folded` is made in


_FOLDING = types.NamedUniTuple(int64, len(Folding._fields), Folding)
_OFFSETS = int64[::1]


@compiled(void(_FOLDING, *[_OFFSETS] * 8, float32, int64, int64))
def fold(
    g: Folding,
    row_values: Array,
    row_grads: Array,
    row_starts: Array,
    column_values: Array,
    column_grads: Array,
    column_starts: Array,
    row_folded: Array,
    column_folded: Array,
    slope: float,
    first: int,
    count: int,
) -> None:
    """grads as by `mask`, and their sums; parts `first` to `first + count` of the rows of `folded`.

    Tables hold offsets of rows (columns) of the planes, those that are summed one after another; `starts`
    say where the ones of each row (column) of `folded` begin, and where the last ends.
    """
    slopes, columns = spread(slope), len(column_folded)
    for item in range(first, first + count):
        row, part = item // g.parts, item % g.parts
        for column in range(part * columns // g.parts, (part + 1) * columns // g.parts):
            target = g.folded + 4 * (row_folded[row] + column_folded[column])
            for c in range(0, 4 * g.lanes, 4 * LANES):
                store(spread(float32(0)), target + c)
        for r in range(row_starts[row], row_starts[row + 1]):
            values, grads = g.values + 4 * row_values[r], g.grads + 4 * row_grads[r]
            for column in range(part * columns // g.parts, (part + 1) * columns // g.parts):
                target = g.folded + 4 * (row_folded[row] + column_folded[column])
                for c in range(0, 4 * g.lanes, 4 * LANES):
                    total = spread(float32(0))
                    for k in range(column_starts[column], column_starts[column + 1]):
                        place = grads + 4 * column_grads[k] + c
                        grad = passed(load(values + 4 * column_values[k] + c), load(place), slopes)
                        store(grad, place)
                        total = add(total, grad)
                    store(add(load(target + c), total), target + c)


@compiled(void(int64, int64, int64, int64, int64, int64))
def add_up(grads: Address, lanes: int, pixels: int, sums: Address, first: int, count: int) -> None:
    """sums (pieces, lanes): of each channel over `pixels` pixels; pieces `first` to `first + count`."""
    for piece in range(first, first + count):
        for c in range(0, 4 * lanes, 4 * LANES):
            total = spread(float32(0))
            at = grads + 4 * piece * pixels * lanes + c
            for _ in range(pixels):
                total = add(total, load(at))
                at += 4 * lanes
            store(total, sums + 4 * piece * lanes + c)


class Unpooling(NamedTuple):
    """The gradient of a maximum over windows that do not overlap, output pixel by output pixel."""

    source: int  #: the plane that was pooled
    rows: int  #: per output row, offsets of the rows under the window, -1 for those outside
    columns: int  #: the same of columns
    high: int
    wide: int
    across: int
    lanes: int
    grads: int  #: the plane of the top's gradient
    grad_rows: int  #: per output row, its offset
    grad_columns: int  #: per output column, its offset
    target: int  #: the plane of the bottom's gradient
    target_rows: int  #: as `rows`, in that plane
    target_columns: int  #: the same of columns


_UNPOOLING = types.NamedUniTuple(int64, len(Unpooling._fields), Unpooling)


@compiled(void(_UNPOOLING, int64, int64))
def unpool(g: Unpooling, first: int, count: int) -> None:
    """Output pixels `first` to `first + count`; the first maximum of a window gets the gradient."""
    for t in range(first, first + count):
        down, right = t // g.across, t % g.across
        grads = g.grads + 4 * (index_at(g.grad_rows + 8 * down) + index_at(g.grad_columns + 8 * right))
        rows, columns = 8 * g.high * down, 8 * g.wide * right
        for c in range(0, 4 * g.lanes, 4 * LANES):
            best = spread(LOWEST)
            for i in range(g.high):
                row = index_at(g.rows + rows + 8 * i)
                for j in range(g.wide):
                    column = index_at(g.columns + columns + 8 * j)
                    if row >= 0 and column >= 0:
                        best = larger(load(g.source + 4 * (row + column) + c), best)
            left = where_unequal(best, spread(LOWEST), load(grads + c))
            for i in range(g.high):
                row, to = index_at(g.rows + rows + 8 * i), index_at(g.target_rows + rows + 8 * i)
                for j in range(g.wide):
                    column = index_at(g.columns + columns + 8 * j)
                    if row >= 0 and column >= 0:
                        value = load(g.source + 4 * (row + column) + c)
                        place = to + index_at(g.target_columns + columns + 8 * j)
                        store(where_equal(value, best, left), g.target + 4 * place + c)
                        left = where_unequal(value, best, left)
