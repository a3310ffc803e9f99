"""Gradients that pass on without a product, compiled: through rectifiers and poolings, and their sums."""

from __future__ import annotations

from typing import NamedTuple

from numba import float32

from .compiling import PIECE, Address, compiled
from .simd import (
    LANES,
    LOWEST,
    add,
    index_at,
    larger,
    load,
    number_of,
    passed,
    record,
    spread,
    store,
    where_equal,
    where_unequal,
)


class Masking(NamedTuple):
    """grads *= 1 where a rectifier's results are above zero, else its slope."""

    values: int  #: the results
    grads: int
    lanes: int  #: of a pixel, in both
    slope: int  #: a float32
    size: int = 0
    items: int = 0


_, _masking_at = record(Masking)


@compiled(PIECE)
def mask(work: Address, piece: int, _: Address) -> None:
    """Pixels of a `Masking`."""
    g = _masking_at(work)
    slopes, end = spread(number_of(g.slope)), min((piece + 1) * g.size, g.items)
    for at in range(4 * g.lanes * piece * g.size, 4 * g.lanes * end, 4 * LANES):
        store(passed(load(g.values + at), load(g.grads + at), slopes), g.grads + at)


class Folding(NamedTuple):
    """A gradient of every pixel, summed over the pixels that a plane keeps once.

    Tables hold offsets of rows (columns) of the planes, those that are summed one after another; `starts`
    say where the ones of each row (column) of `folded` begin, and where the last ends.
    """

    values: int  #: the plane of the rectifier's results
    grads: int  #: the gradient, a plane with every row and column
    folded: int  #: a plane that keeps equal rows and columns once
    lanes: int  #: of a pixel, in all three
    parts: int  #: how many parts a row of `folded` is made in
    slope: int  #: a float32, see `Masking`
    across: int  #: columns of `folded`
    row_values: int
    row_grads: int
    row_starts: int
    column_values: int
    column_grads: int
    column_starts: int
    row_folded: int
    column_folded: int
    size: int = 0
    items: int = 0


_, _folding_at = record(Folding)


@compiled(PIECE)
def fold(work: Address, piece: int, _: Address) -> None:
    """Parts of the rows of a `Folding`: grads as by `mask`, and their sums."""
    g = _folding_at(work)
    slopes = spread(number_of(g.slope))
    for item in range(piece * g.size, min((piece + 1) * g.size, g.items)):
        row, part = 8 * (item // g.parts), item % g.parts
        first, end = part * g.across // g.parts, (part + 1) * g.across // g.parts
        line = g.folded + 4 * index_at(g.row_folded + row)
        for column in range(8 * first, 8 * end, 8):
            target = line + 4 * index_at(g.column_folded + column)
            for c in range(0, 4 * g.lanes, 4 * LANES):
                store(spread(float32(0)), target + c)
        for r in range(8 * index_at(g.row_starts + row), 8 * index_at(g.row_starts + row + 8), 8):
            values = g.values + 4 * index_at(g.row_values + r)
            grads = g.grads + 4 * index_at(g.row_grads + r)
            for column in range(8 * first, 8 * end, 8):
                target = line + 4 * index_at(g.column_folded + column)
                start, stop = index_at(g.column_starts + column), index_at(g.column_starts + column + 8)
                for c in range(0, 4 * g.lanes, 4 * LANES):
                    total = spread(float32(0))
                    for k in range(8 * start, 8 * stop, 8):
                        place = grads + 4 * index_at(g.column_grads + k) + c
                        value = load(values + 4 * index_at(g.column_values + k) + c)
                        grad = passed(value, load(place), slopes)
                        store(grad, place)
                        total = add(total, grad)
                    store(add(load(target + c), total), target + c)


class Sums(NamedTuple):
    """sums (items, lanes): of each channel over so many pixels."""

    grads: int
    lanes: int
    pixels: int
    sums: int
    size: int = 0
    items: int = 0


_, _sums_at = record(Sums)


@compiled(PIECE)
def add_up(work: Address, piece: int, _: Address) -> None:
    """A piece of `Sums`."""
    g = _sums_at(work)
    for item in range(piece * g.size, min((piece + 1) * g.size, g.items)):
        for c in range(0, 4 * g.lanes, 4 * LANES):
            total = spread(float32(0))
            at = g.grads + 4 * item * g.pixels * g.lanes + c
            for _ in range(g.pixels):
                total = add(total, load(at))
                at += 4 * g.lanes
            store(total, g.sums + 4 * item * g.lanes + c)


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
    size: int = 0
    items: int = 0


_, _unpooling_at = record(Unpooling)


@compiled(PIECE)
def unpool(work: Address, piece: int, _: Address) -> None:
    """Output pixels of an `Unpooling`; the first maximum of a window gets the gradient."""
    g = _unpooling_at(work)
    for t in range(piece * g.size, min((piece + 1) * g.size, g.items)):
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
