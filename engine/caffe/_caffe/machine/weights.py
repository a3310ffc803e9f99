"""Weights brought into the order and form in which products read them, compiled; and their gradients back."""

from __future__ import annotations

from typing import NamedTuple

from numba import float32, njit

from .compiling import PIECE, Address, compiled
from .simd import LANES, load, number_at, put_index, put_number, record, store
from .transforms.toom import Short, short
from .unrolled import COLUMNS, transform_in

BLOCK = 16  # channels that are brought into order at a time


def _kernel(tile: Short) -> list[list[float]]:
    rows: list[list[float]] = tile.kernel.tolist()
    return rows


_3_to_6, _5_to_6 = transform_in(_kernel(short(4, 3))), transform_in(_kernel(short(2, 5)))
_6_to_3, _6_to_5 = (transform_in(list(zip(*_kernel(tile)))) for tile in (short(4, 3), short(2, 5)))


class Weights(NamedTuple):
    """Weights of a convolution, and what its products read in their place or give as their gradient."""

    weights: int  #: the number of the first output, channel and tap
    output: int  #: how many numbers outputs are apart
    channel: int  #: and channels
    tap: int  #: and taps, in rows one after another
    outputs: int
    channels: int
    taps: int
    short: int  #: n and m of Winograd's algorithm, n * 8 + m; 0: none
    packed: int  #: (products, panels, depth, COLUMNS), or of a gradient (depth, products, panels * COLUMNS)
    lanes: int  #: channels of `depth`, which are those of each tap where there is no algorithm
    panels: int
    adds: int = 0  #: of a gradient: whether it is added to what is there
    size: int = 0
    items: int = 0


_, _weights_at = record(Weights)


def room(taps: int) -> int:
    """Bytes that a piece works in."""
    return 4 * BLOCK * taps * COLUMNS + 8 * 2 * COLUMNS


@njit(inline="always")
def _offsets(count: int, row: int, column: int, table: Address) -> Address:
    """A table of the offsets of `count` rows, and of as many columns, which is returned."""
    for i in range(count):
        put_index(i * row, table + 8 * i)
        put_index(i * column, table + 8 * (count + i))
    return table + 8 * count


@compiled(PIECE)
def pack(work: Address, piece: int, scratch: Address) -> None:
    """Channels, BLOCK at a time, of each panel of COLUMNS outputs of some `Weights`."""
    g = _weights_at(work)
    blocks, rows = -(-g.channels // BLOCK), scratch + 4 * BLOCK * g.taps * COLUMNS
    side = 5 if g.short % 8 == 2 else 3
    columns = _offsets(side, side * COLUMNS, COLUMNS, rows)
    for item in range(piece * g.size, min((piece + 1) * g.size, g.items)):
        panel, first = item // blocks, item % blocks * BLOCK
        count, found = min(BLOCK, g.channels - first), min(COLUMNS, g.outputs - panel * COLUMNS)
        for o in range(COLUMNS):
            source = g.weights + 4 * ((panel * COLUMNS + o) * g.output + first * g.channel)
            for c in range(count):
                for t in range(g.taps):
                    value = number_at(source + 4 * (c * g.channel + t * g.tap)) if o < found else float32(0)
                    put_number(value, scratch + 4 * ((c * g.taps + t) * COLUMNS + o))
        depth = g.lanes if g.short else g.lanes * g.taps
        for c in range(count):
            for v in range(0, 4 * COLUMNS, 4 * LANES):
                tile = scratch + 4 * c * g.taps * COLUMNS + v
                target = g.packed + 4 * (panel * depth + first + c) * COLUMNS + v
                if g.short % 8 == 4:
                    _3_to_6(tile, rows, columns, target, g.panels * depth * COLUMNS)
                elif g.short:
                    _5_to_6(tile, rows, columns, target, g.panels * depth * COLUMNS)
                else:
                    for t in range(g.taps):
                        store(load(tile + 4 * t * COLUMNS), target + 4 * t * g.lanes * COLUMNS)


@compiled(PIECE)
def unpack(work: Address, piece: int, scratch: Address) -> None:
    """The same the other way: the gradient of what `pack` makes becomes that of the weights."""
    g = _weights_at(work)
    blocks, rows = -(-g.channels // BLOCK), scratch + 4 * BLOCK * g.taps * COLUMNS
    wide = g.panels * COLUMNS
    columns = _offsets(6, 6 * wide, wide, rows)
    for item in range(piece * g.size, min((piece + 1) * g.size, g.items)):
        panel, first = item // blocks, item % blocks * BLOCK
        count, found = min(BLOCK, g.channels - first), min(COLUMNS, g.outputs - panel * COLUMNS)
        for c in range(count):
            for v in range(0, 4 * COLUMNS, 4 * LANES):
                tile = scratch + 4 * c * g.taps * COLUMNS + v
                source = g.packed + 4 * panel * COLUMNS + v
                if g.short % 8 == 4:
                    _6_to_3(source + 4 * (first + c) * 36 * wide, rows, columns, tile, COLUMNS)
                elif g.short:
                    _6_to_5(source + 4 * (first + c) * 36 * wide, rows, columns, tile, COLUMNS)
                else:
                    for t in range(g.taps):
                        store(load(source + 4 * (t * g.lanes + first + c) * wide), tile + 4 * t * COLUMNS)
        for o in range(found):
            target = g.weights + 4 * ((panel * COLUMNS + o) * g.output + first * g.channel)
            for c in range(count):
                for t in range(g.taps):
                    value = number_at(scratch + 4 * ((c * g.taps + t) * COLUMNS + o))
                    place = target + 4 * (c * g.channel + t * g.tap)
                    put_number(number_at(place) + value if g.adds else value, place)
