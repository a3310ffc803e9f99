"""Convolutions with more weights than pixels, compiled: products with the weights as they lie in memory.

Legend: t counts output pixels, d = (c, i, j) the taps of a kernel in the order of the weights (O, C, kh, kw);
x is what lies under the taps, (pixels, taps), with rows for pixels up to `wide` of them.
"""

from __future__ import annotations

from typing import NamedTuple

from numba import float32, njit

from .compiling import PIECE, Address, compiled
from .products import multiply_panels
from .simd import LANES, add, fma, index_at, load, number_at, put_index, put_number, record, spread, store
from .unrolled import COLUMNS, FEW, ROWS, product, product_of_few

DEPTH = 256  # how much of a product's depth is done before the next


class Dense(NamedTuple):
    """The numbers of a dense convolution, and one of its products."""

    pixels: int
    wide: int  #: pixels, up to a multiple of COLUMNS
    taps: int  #: a multiple of COLUMNS
    outputs: int  #: a multiple of FEW
    block: int  #: outputs that share a panel of the other side, a multiple of ROWS
    left: int = 0  #: the left factor
    right: int = 0  #: the right factor
    target: int = 0  #: the product
    adds: int = 0  #: of weights' gradients: whether they are added to what is there
    size: int = 0
    items: int = 0


_, dense_at = record(Dense)


class Taps(NamedTuple):
    """What lies under the taps, channel by channel."""

    plane: int
    rows: int  #: per output row, offsets of the rows under the taps, -1 for those outside
    columns: int  #: the same of columns
    high: int  #: the kernel's height
    wide: int  #: the kernel's width
    across: int  #: output columns
    pixels: int
    taps: int  #: of a pixel, in all channels
    x: int  #: (pixels, taps), or 0
    panels: int = 0  #: its transpose in panels of COLUMNS pixels
    size: int = 0
    items: int = 0


_, taps_at = record(Taps)


@njit(inline="always")
def place_of(g: Taps, t: int, i: int, j: int) -> int:
    """How many bytes from the plane's first number the pixel under a tap is; -1: outside."""
    row = index_at(g.rows + 8 * (t // g.across * g.high + i))
    column = index_at(g.columns + 8 * (t % g.across * g.wide + j))
    return 4 * (row + column) if row >= 0 and column >= 0 else -1


@compiled(PIECE)
def gather(work: Address, piece: int, places: Address) -> None:
    """Channels of a `Taps`: `panels`, and `x` if there is one.

    `places` has room for an address of each pixel.
    """
    g = taps_at(work)
    first, end = piece * g.size, min((piece + 1) * g.size, g.items)
    for i in range(g.high):
        for j in range(g.wide):
            for t in range(g.pixels):
                put_index(place_of(g, t, i, j), places + 8 * t)
            for c in range(first, end):
                tap = (c * g.high + i) * g.wide + j
                panel, x = g.panels + 4 * tap * COLUMNS, g.x + 4 * tap
                for t in range(g.pixels):
                    place = index_at(places + 8 * t)
                    value = number_at(g.plane + place + 4 * c) if place >= 0 else float32(0)
                    put_number(value, panel + 4 * (t // COLUMNS * g.taps * COLUMNS + t % COLUMNS))
                    if g.x:
                        put_number(value, x + 4 * t * g.taps)


@njit(inline="always")
def product_of_rows(
    rows: int,
    left: Address,
    right: Address,
    place: Address,
    steps: tuple[int, int, int],
    deep: int,
    adds: int,
    soon: Address,
    pace: int,
) -> None:
    """`rows` rows of A (rows x deep), whose depth is contiguous, times B: at most ROWS, a multiple of FEW.

    `steps` are how many numbers apart the rows of A, the steps of B's depth and the rows of C are; `soon` and
    `pace` are those of `product`.
    """
    apart_a, deep_b, apart_c = steps
    if rows == ROWS:
        product(left, right, place, apart_a, 1, deep_b, apart_c, deep, adds, soon, pace)
        return
    for row in range(0, rows, FEW):
        a, c = left + 4 * row * apart_a, place + 4 * row * apart_c
        product_of_few(a, right, c, apart_a, 1, deep_b, apart_c, deep, adds, soon, pace)


@njit(inline="always")
def _copy_rows(source: Address, apart: int, target: Address, rows: int, deep: int) -> None:
    """`rows` rows of `deep` numbers that are `apart`, to rows of DEPTH numbers."""
    for row in range(rows):
        start, to = source + 4 * row * apart, target + 4 * row * DEPTH
        for at in range(0, 4 * deep, 4 * LANES):
            store(load(start + at), to + at)


@compiled(PIECE)
def multiply(work: Address, piece: int, copy: Address) -> None:
    """Blocks of a `Dense`: made (outputs, wide) = weights (outputs, taps) times panels.

    Panels are (wide / COLUMNS, taps, COLUMNS). Rows of weights are copied before their use, to `copy`,
    (block, DEPTH): where they lie, their distance sends them all to the same few places of a cache. Meanwhile
    the next ones and the next panel are asked for.
    """
    g = dense_at(work)
    weights, panels, made = g.left, g.right, g.target
    half = max(1, g.block // ROWS // 2)
    for block in range(piece * g.size, min((piece + 1) * g.size, g.items)):
        top = block * g.block
        rows = min(g.block, g.outputs - top)
        for start in range(0, g.taps, DEPTH):
            deep, adds = min(DEPTH, g.taps - start), int(start > 0)
            source = weights + 4 * (top * g.taps + start)
            _copy_rows(source, g.taps, copy, rows, deep)
            next_rows = source + 4 * (deep if start + deep < g.taps else rows * g.taps - start)
            for panel in range(g.wide // COLUMNS):
                right = panels + 4 * (panel * g.taps + start) * COLUMNS
                next_panel = right + 4 * g.taps * COLUMNS
                if panel + 1 == g.wide // COLUMNS:
                    next_panel = panels + 4 * ((start + deep) % g.taps) * COLUMNS
                place = made + 4 * (top * g.wide + panel * COLUMNS)
                for row in range(0, rows, ROWS):
                    left, to, few = copy + 4 * row * DEPTH, place + 4 * row * g.wide, min(ROWS, rows - row)
                    part_of = row // ROWS
                    if part_of < half:
                        pace = 4 * COLUMNS // half
                        soon = next_panel + part_of * deep * pace
                    else:
                        soon, pace = next_rows + 4 * (panel * half + part_of - half) * g.taps, 4
                    product_of_rows(few, left, right, to, (DEPTH, COLUMNS, g.wide), deep, adds, soon, pace)


class Rows(NamedTuple):
    """An inner product: target (rows) = weights (rows x depth) times x (depth), plus a bias."""

    weights: int
    x: int
    bias: int  #: 0: none
    target: int
    depth: int
    size: int = 0  #: rows of a piece
    items: int = 0  #: rows


_, _rows_at = record(Rows)


@compiled(PIECE)
def multiply_rows(work: Address, piece: int, sums: Address) -> None:
    """A piece of a `Rows`; `sums` has room for a vector."""
    g = _rows_at(work)
    whole, step = 4 * (g.depth // (4 * LANES) * 4 * LANES), 4 * LANES
    for row in range(piece * g.size, min((piece + 1) * g.size, g.items)):
        weights = g.weights + 4 * g.depth * row
        a = b = c = d = spread(float32(0))
        for at in range(0, whole, 4 * step):
            a = fma(load(weights + at), load(g.x + at), a)
            b = fma(load(weights + at + step), load(g.x + at + step), b)
            c = fma(load(weights + at + 2 * step), load(g.x + at + 2 * step), c)
            d = fma(load(weights + at + 3 * step), load(g.x + at + 3 * step), d)
        store(add(add(a, b), add(c, d)), sums)
        total = number_at(g.bias + 4 * row) if g.bias else float32(0)
        for lane in range(LANES):
            total += number_at(sums + 4 * lane)
        for at in range(whole, 4 * g.depth, 4):
            total += number_at(weights + at) * number_at(g.x + at)
        put_number(total, g.target + 4 * row)


class Lines(NamedTuple):
    """Products (rows x depth) times (depth x outputs), as many as a short convolution has."""

    x: int  #: (products, rows, depth)
    weights: int  #: (products, outputs / COLUMNS, depth, COLUMNS), of all blocks' outputs
    made: int  #: (products, blocks, rows, outputs)
    rows: int  #: a multiple of FEW
    band: int  #: of them are done at a time, a multiple of ROWS
    bands: int
    depth: int
    outputs: int  #: of a block, a multiple of COLUMNS
    blocks: int  #: of each product
    size: int = 0
    items: int = 0


_, _lines_at = record(Lines)


@compiled(PIECE)
def multiply_lines(work: Address, piece: int, _: Address) -> None:
    """Bands of the blocks of all products of a `Lines`."""
    g = _lines_at(work)
    for item in range(piece * g.size, min((piece + 1) * g.size, g.items)):
        block, row = item // g.bands, item % g.bands * g.band
        left = g.x + 4 * (block // g.blocks * g.rows + row) * g.depth
        right = g.weights + 4 * block * g.depth * g.outputs
        target = g.made + 4 * (block * g.rows + row) * g.outputs
        after = right + 4 * g.depth * g.outputs
        multiply_panels(left, right, target, min(g.band, g.rows - row), g.depth, g.outputs, after)
