"""The loops of backward passes, compiled: gradients of weights and of what they were multiplied with."""

from __future__ import annotations

from typing import NamedTuple

from numba import int64, njit

from .compiling import PIECE, Address, compiled
from .dense import DEPTH, dense_at, place_of, product_of_rows, taps_at
from .products import Convolution, convolution_at, read_tiles
from .simd import LANES, index_at, load, number_at, put_number, record, store
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


class Tiles(NamedTuple):
    """Tiles of the input and of the top's gradient, transformed for the products."""

    #: A `Convolution`, whose target is the gradient's plane; its tables send what is not there to zeros.
    work: int
    first: int  #: tile
    into: int  #: (products, tiles, channels)
    grads: int  #: (products, tiles, outputs)
    tiles: int
    size: int = 0
    items: int = 0


_, _tiles_at = record(Tiles)


@compiled(PIECE)
def fill(work: Address, piece: int, _: Address) -> None:
    """A piece of `Tiles`."""
    all_ = _tiles_at(work)
    g, tiles, start = convolution_at(all_.work), all_.tiles, piece * all_.size
    first, count = all_.first + start, min(all_.size, all_.items - start)
    deep = g.channels if g.short else g.channels * g.high * g.wide
    into, grads = all_.into + 4 * start * deep, all_.grads + 4 * start * g.outputs
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
    size: int = 0
    items: int = 0


_, _correlation_at = record(Correlation)


@compiled(PIECE)
def correlate(work: Address, piece: int, _: Address) -> None:
    """Groups of ROWS rows, of those of all sums one after another."""
    g = _correlation_at(work)
    groups = g.rows // ROWS
    for item in range(piece * g.size, min((piece + 1) * g.size, g.items)):
        f, row = item // groups, item % groups * ROWS
        left = g.into + 4 * (f * g.tiles * g.depth + row)
        right = g.grads + 4 * f * g.tiles * g.outputs
        place, apart = g.sums + 4 * (row * g.products + f) * g.outputs, g.products * g.outputs
        for column in range(0, 4 * g.outputs, 4 * COLUMNS):
            product(
                left, right + column, place + column, 1, g.depth, g.outputs, apart, g.tiles, g.adds, left, 0
            )


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


@compiled(PIECE)
def weight_gradient(work: Address, piece: int, copy: Address) -> None:
    """Groups of PANELS panels of a `Dense`: sums (outputs, taps) = or += grads times x.

    They are (outputs, wide) and (pixels, taps); `copy` is (PANELS, pixels, COLUMNS).
    """
    g = dense_at(work)
    grads, x, sums, adds = g.left, g.right, g.target, g.adds
    steps = (g.wide, COLUMNS, g.taps)
    for group in range(piece * g.size, min((piece + 1) * g.size, g.items)):
        column = group * PANELS * COLUMNS
        found = min(PANELS, (g.taps - column) // COLUMNS)
        _copy_panels(x + 4 * column, g.taps, g.pixels, copy, found)
        for row in range(0, g.outputs, ROWS):
            left, rows = grads + 4 * row * g.wide, min(ROWS, g.outputs - row)
            for p in range(found):
                right = copy + 4 * p * g.pixels * COLUMNS
                place = sums + 4 * (row * g.taps + column + p * COLUMNS)
                product_of_rows(rows, left, right, place, steps, g.pixels, adds, left, 0)


@compiled(PIECE)
def input_gradient(work: Address, piece: int, copy: Address) -> None:
    """Groups of PANELS panels of taps of a `Dense`: x (pixels, taps) = transposed grads times weights.

    Up to ROWS - 1 rows after the last of x are written too, and as many numbers after `grads` are read. The
    first products ask for the weights that are copied next, a cache line of each row at a time. `copy` is
    (PANELS, DEPTH, COLUMNS).
    """
    g = dense_at(work)
    grads, weights, x = g.left, g.right, g.target
    for group in range(piece * g.size, min((piece + 1) * g.size, g.items)):
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


@compiled(PIECE)
def scatter(work: Address, piece: int, _: Address) -> None:
    """Channels of a `Taps`: `x` is added to the pixels under the taps."""
    g = taps_at(work)
    for t in range(g.pixels):
        for i in range(g.high):
            for j in range(g.wide):
                place = place_of(g, t, i, j)
                if place < 0:
                    continue
                for c in range(piece * g.size, min((piece + 1) * g.size, g.items)):
                    x = g.x + 4 * (t * g.taps + (c * g.high + i) * g.wide + j)
                    pixel = g.plane + place + 4 * c
                    put_number(number_at(pixel) + number_at(x), pixel)
