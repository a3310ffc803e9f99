"""Convolution as a product over all taps, compiled: pixels are read where they lie.

What follows the convolution is done before a result leaves its register: scale, shift, a sum, a rectifier.
"""

from __future__ import annotations

from typing import NamedTuple

from numba import njit

from .compiling import PIECE, Address, compiled
from .simd import LANES, index_at, load, number_of, put_index, record, store
from .unrolled import COLUMNS, FEW_PIXELS, PIXELS, product_at, product_at_few, product_at_half


class Direct(NamedTuple):
    """A convolution's work, pixel by pixel of its output."""

    source: int  #: the input plane
    rows: int  #: per output row, offsets of the rows under the taps
    columns: int  #: per output column, offsets of the columns under the taps
    high: int  #: the kernel's height
    wide: int  #: the kernel's width
    across: int  #: output columns
    pieces: int  #: in how many pieces the taps of a row lie: `wide`, or 1 where they are neighbours
    deep: int  #: numbers of a piece
    weights: int  #: per COLUMNS output channels: (depth, COLUMNS)
    target: int  #: the output plane
    target_rows: int  #: per output row, its offset
    target_columns: int  #: per output column, its offset
    stored: int  #: output channels to store, a multiple of LANES
    scale: int  #: per output channel, what results are multiplied with
    shift: int  #: per output channel, what is added then
    added: int  #: a plane laid out as the target that is added then, or 0
    slope: int  #: the float32 that negative results are multiplied with
    apart: int  #: how far apart copies of the pixels are put, in numbers; 0: they are read where they lie
    outputs: int  #: output channels, a multiple of COLUMNS
    size: int  #: pixels of a piece
    items: int  #: pixels
    broad: int  #: output channels of a piece


_, _direct_at = record(Direct)


@njit(inline="always")
def _find(g: Direct, first: int, count: int, found: Address, places: Address) -> None:
    """Where the pieces of each pixel are, PIXELS pixels at a time; and how many bytes on its result goes.

    The last pixel fills up what is left of its group. Pixels of one piece may be copied: where they lie so
    far apart that all are sent to the same few places of a cache.
    """
    pieces, filled = g.high * g.pieces, -(-count // PIXELS) * PIXELS
    copy = (places + 8 * filled + 63) // 64 * 64
    down, right = first // g.across, first % g.across
    for t in range(filled):
        to = found + 8 * (t // PIXELS * pieces * PIXELS + t % PIXELS)
        rows, columns = g.rows + 8 * g.high * down, g.columns + 8 * g.wide * right
        for i in range(g.high):
            row = g.source + 4 * index_at(rows + 8 * i)
            for j in range(g.pieces):
                piece = row + 4 * index_at(columns + 8 * j)
                if g.apart:
                    for at in range(0, 4 * g.deep, 4 * LANES):
                        store(load(piece + at), copy + at)
                    piece = copy
                put_index(piece, to)
                to += 8 * PIXELS
        place = index_at(g.target_rows + 8 * down) + index_at(g.target_columns + 8 * right)
        put_index(4 * place, places + 8 * t)
        if t < count - 1:
            copy += 4 * g.apart
            right += 1
            if right == g.across:
                down, right = down + 1, 0


@compiled(PIECE)
def convolve(work: Address, piece: int, scratch: Address) -> None:
    """A piece of a `Direct`. `scratch` is as large as `Geometry.scratch` says.

    While a panel of weights is at work the next is asked for.
    """
    g = _direct_at(work)
    parts, slope = -(-g.outputs // g.broad), number_of(g.slope)
    first, channel = piece // parts * g.size, piece % parts * g.broad
    count = min(g.size, g.items - first)
    pieces = g.high * g.pieces
    depth, groups = pieces * g.deep, -(-count // PIXELS)
    places = scratch + 8 * groups * PIXELS * pieces
    _find(g, first, count, scratch, places)
    pace = -(-4 * COLUMNS // groups)
    for c in range(channel, min(channel + g.broad, g.stored), COLUMNS):
        panel, to, scale, shift = (
            g.weights + 4 * depth * c,
            g.target + 4 * c,
            g.scale + 4 * c,
            g.shift + 4 * c,
        )
        soon = panel + 4 * depth * COLUMNS
        added = g.added + 4 * c if g.added else 0
        for group in range(groups):
            at, put = scratch + 8 * group * PIXELS * pieces, places + 8 * group * PIXELS
            if g.stored - c <= LANES:
                product_at_half(at, pieces, g.deep, panel, put, to, scale, shift, slope, added, soon, pace)
            elif count - group * PIXELS > FEW_PIXELS:
                product_at(at, pieces, g.deep, panel, put, to, scale, shift, slope, added, soon, pace)
            else:
                product_at_few(at, pieces, g.deep, panel, put, to, scale, shift, slope, added, soon, pace)
            soon += depth * pace
