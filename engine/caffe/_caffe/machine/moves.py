"""Numbers brought into another order, compiled, and told whether they have changed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import float32, int64, uint64

from .compiling import PIECE, Address, compiled, part
from .simd import index_at, number_at, put_number, record

_MIX = np.uint64(0x9E3779B97F4A7C15)


@part
def _mixed(before: int, address: Address) -> int:
    mixed = (before ^ np.uint64(index_at(address))) * _MIX
    return mixed ^ (mixed >> np.uint64(29))  # type: ignore[no-any-return]


@compiled(uint64(int64, int64))
def fingerprint(address: Address, count: int) -> int:
    """A number that tells whether `count` float32 (at least 2) have changed."""
    a, b, c, d = np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(4)
    end = address + 4 * count
    whole = address + 4 * count // 32 * 32
    for at in range(address, whole, 32):
        a, b, c, d = _mixed(a, at), _mixed(b, at + 8), _mixed(c, at + 16), _mixed(d, at + 24)
    for at in range(whole, end - 7, 8):
        a = _mixed(a, at)
    a = _mixed(a, end - 8)
    return ((a * _MIX ^ b) * _MIX ^ c) * _MIX ^ d  # type: ignore[no-any-return]


class Rows(NamedTuple):
    """Maps (N, C, H, W), row by row, and the plane that they are in."""

    maps: int
    plane: int  #: the first number of its first channel that the maps have
    rows: int  #: per row of a map, which of those in memory it is
    columns: int  #: the same of columns
    channels: int
    high: int
    wide: int
    lanes: int  #: of a pixel that count; those without a channel are written as 0
    pixel: int  #: how far one pixel of the plane is from the next, in numbers
    row: int  #: and one row
    image: int  #: and one image
    fills: int  #: whether the plane is made from the maps
    size: int = 0
    items: int = 0


_, _rows_at = record(Rows)


@compiled(PIECE)
def move(work: Address, piece: int, _: Address) -> None:
    """A piece of `Rows`: maps from a plane; or a plane that keeps every row and column, from maps."""
    g = _rows_at(work)
    for item in range(piece * g.size, min((piece + 1) * g.size, g.items)):
        number, y = item // g.high, item % g.high
        row = g.plane + 4 * (number * g.image + index_at(g.rows + 8 * y) * g.row)
        maps = g.maps + 4 * g.wide * (number * g.channels * g.high + y)
        for c in range(g.lanes if g.fills else g.channels):
            line = maps + 4 * c * g.high * g.wide
            for x in range(g.wide):
                pixel = row + 4 * (index_at(g.columns + 8 * x) * g.pixel + c)
                if not g.fills:
                    put_number(number_at(pixel), line + 4 * x)
                elif c < g.channels:
                    put_number(number_at(line + 4 * x), pixel)
                else:
                    put_number(float32(0), pixel)
