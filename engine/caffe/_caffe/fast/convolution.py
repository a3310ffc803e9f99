"""Convolution of planes: tables of offsets, and algorithms: Winograd's tiles or a product over all taps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf
from typing import NamedTuple

import numpy as np

from ..machine.simd import LANES
from ..machine.transforms.toom import Short, short
from ..machine.unrolled import COLUMNS, FEW, FEW_PIXELS, PIXELS, ROWS
from .planes import PlaneLayout, distinct

Pair = tuple[int, int]
MOVE = 20  # multiply-adds that could be done while a transform moves one number
READ = 16  # and while one number comes from memory
STEP = 2 * COLUMNS  # output channels whose products are made before results are
SAME_PLACE = 1024  # numbers after which an address falls into the same place of the first cache


def rounded(count: int, unit: int) -> int:
    """`count`, up to a multiple of `unit`."""
    return -(-count // unit) * unit


@dataclass(frozen=True)
class Window:
    """The window of a convolution or pooling, in rows and columns."""

    kernel: Pair
    stride: Pair
    pad: Pair
    dilation: Pair = (1, 1)

    def axes(self) -> Iterator[tuple[int, int, int, int]]:
        """Kernel, stride, pad and dilation of the rows, then of the columns."""
        return zip(self.kernel, self.stride, self.pad, self.dilation)


class Form(NamedTuple):
    """How a convolution is computed."""

    tile: Short | None = None  #: Winograd's algorithm; None: a product over all taps
    pooled: bool = False  #: whether the maximum of each 2 x 2 is stored
    compact: bool = True  #: whether rows and columns that are equal by how they are made are made once


class Axis:
    """Tiles along one axis: which input rows each reads and which output rows it makes. Columns are alike.

    Args:
        stored: `rows` of the input's layout.
        places: how many outputs there are.
        window: kernel, stride, pad, dilation of the axis.
        form: with a tile, outputs are made in tiles of so many; without, one by one from the kernel's taps.
    """

    def __init__(
        self, stored: tuple[int, ...], places: int, window: tuple[int, int, int, int], form: Form
    ) -> None:
        tile, pooled, compact = form
        kernel, stride, pad, dilation = window
        taps = np.arange(kernel) * dilation - pad
        inside = np.concatenate([np.asarray(stored), [-1]])

        def source(rows: np.ndarray) -> np.ndarray:
            return inside[np.where((rows >= 0) & (rows < len(stored)), rows, len(stored))]

        made_of = [tuple(row) for row in source(np.arange(places)[:, None] * stride + taps).tolist()]
        if pooled:
            made_of = [(*made_of[i : i + 2],) for i in range(0, places, 2)]
        #: per output row, which stored one it is
        self.rows = distinct(made_of) if compact else tuple(range(len(made_of)))
        step = 2 if pooled else 1
        first = {number: row * step for row, number in reversed(list(enumerate(self.rows)))}
        if tile is None:
            wanted = np.array(sorted(first.values()))
            self.reads = wanted[:, None] * stride + taps
            self.writes = np.arange(len(wanted))[:, None]
            return
        #: of the stored rows, by their first output row
        number_of = {row: number for number, row in first.items()}
        reads, writes = [], []
        for start in _starts(places, tile.outputs, dilation):
            outputs = [start + i * dilation for i in range(tile.outputs)]
            marks = (
                self._pooled(outputs, number_of, places)
                if pooled
                else [number_of.get(o, -1) for o in outputs]
            )
            if max(marks[::step]) >= 0:
                reads.append([start - pad + i * dilation for i in range(tile.products)])
                writes.append(marks)
        self.reads, self.writes = np.array(reads), np.array(writes)

    @staticmethod
    def _pooled(outputs: Sequence[int], number_of: dict[int, int], places: int) -> list[int]:
        marks = []
        for output in outputs[::2]:
            marks += [number_of.get(output, -1), int(output + 1 < places)]
        return marks


def _starts(places: int, outputs: int, dilation: int) -> list[int]:
    """The first outputs of the tiles: each takes `outputs` that are `dilation` apart."""
    return [
        start for phase in range(min(dilation, places)) for start in range(phase, places, outputs * dilation)
    ]


class Geometry:
    """A convolution of maps of one layout by one algorithm: tables, the result's layout, the work in pieces.

    Args:
        places: rows and columns of the output, before pooling.
        channels: input and output channels of a group, and how many groups there are.
        wider: of the result's layout.
    """

    def __init__(
        self,
        source: PlaneLayout,
        places: Pair,
        window: Window,
        channels: tuple[int, int, int],
        form: Form,
        wider: int = 0,
    ) -> None:
        tile = form.tile
        rows, columns = (
            Axis(stored, count, axis, form)
            for stored, count, axis in zip((source.rows, source.columns), places, window.axes())
        )
        self.channels, self.outputs, groups = channels
        self.tile = tile
        outputs = groups * self.outputs
        lanes = rounded(outputs, LANES)
        self.target = PlaneLayout(source.batch, outputs, rows.rows, columns.rows, lanes, wider=wider)
        self.reads = source.row_offsets(rows.reads), source.column_offsets(columns.reads)
        self.writes = targets(self.target, rows.writes, columns.writes, form.pooled)
        #: where these four tables are
        self.tables = [int(table.ctypes.data) for table in (*self.reads, *self.writes)]
        self.high, self.wide = int(rows.reads.shape[1]), int(columns.reads.shape[1])
        self.across = len(columns.reads)
        self.tiles = source.batch * len(rows.reads) * self.across
        self.depth = self.channels if tile else self.channels * self.high * self.wide
        self.products = tile.products**2 if tile else 1
        beside = self.channels == source.pitch and bool((np.diff(self.reads[1]) == source.pitch).all())
        #: in how many pieces the taps of a row lie, and how many numbers a piece has
        self.pieces = 1 if beside else self.wide
        self.deep = self.channels * self.wide // self.pieces
        single = self.high == self.pieces == 1 and self.deep % LANES == 0
        clash = source.pitch * window.stride[1] % SAME_PLACE == 0
        #: how far apart pixels are copied that a cache would send to the same few places; 0: read in place
        self.apart = self.deep + LANES if single and clash else 0
        self._splits: dict[Pair, Pair] = {}

    @property
    def cost(self) -> float:
        """What a pass takes: multiply-adds of the products, and their like for what is moved on the way."""
        return self._cost(self.tiles, rounded(self.outputs, COLUMNS))

    def _cost(self, tiles: int, wide: int) -> float:
        """The same of so many tiles and output channels."""
        if self.tile is None:
            found = self.high * self.pieces * MOVE + self.apart
            return self.depth * wide * (rounded(tiles, FEW_PIXELS) + READ) + tiles * found
        moved = self.products * (self.depth + wide) * MOVE
        return self.products * self.depth * wide * (rounded(tiles, FEW) + READ) + tiles * moved

    def split(self, threads: int, cache: int) -> Pair:
        """How many tiles and how many output channels a piece has.

        Each thread gets as many pieces. They are parts of the tiles, unless those are so few that parts of
        the channels, for which the input is transformed as often, take less.
        """
        if (threads, cache) not in self._splits:
            self._splits[threads, cache] = self._split(threads, cache)
        return self._splits[threads, cache]

    def _split(self, threads: int, cache: int) -> Pair:
        outputs, found, least = rounded(self.outputs, COLUMNS), (0, 0), inf
        for parts in (2**n for n in range(threads.bit_length()) if 2**n <= outputs // COLUMNS):
            wide = rounded(-(-outputs // parts), COLUMNS)
            for tiles in self._pieces(-(-threads // parts), cache, wide):
                rounds = -(-(-(-self.tiles // tiles) * -(-outputs // wide)) // threads)
                cost = rounds * self._cost(tiles, wide)
                if cost < least:
                    found, least = (tiles, wide), cost
        return found

    def _pieces(self, threads: int, cache: int, wide: int) -> list[int]:
        """How many tiles a piece of so many output channels may have.

        Its transformed input and some products stay in the cache, where that leaves enough rows to a product
        to make up for reading the weights; else pieces are long.
        """
        if self.tile is None:
            fair = -(-self.tiles // threads)
            fits = max(8 * PIXELS, cache // 2 // (4 * self.channels * (1 + (self.high > 1))))
            return [min(rounded(-(-fair // -(-fair // fits)), PIXELS), self.tiles)]
        fair = rounded(-(-self.tiles // threads), ROWS if threads > 1 else FEW)
        per_tile = 4 * self.products * (self.depth + STEP)
        fits = max(ROWS, cache // 2 // per_tile // ROWS * ROWS)
        least = 2 * ROWS if 2 * ROWS * 4 * self.products * self.depth <= cache else 8 * ROWS
        rounds = max(1, round(fair / max(fits, least)))
        return [min(rounded(-(-self.tiles // (rounds * threads)), unit), self.tiles) for unit in (ROWS, FEW)]

    def scratch(self, tiles: int, wide: int) -> int:
        """Bytes that a piece needs to work in."""
        if self.tile is None:
            addresses = rounded(tiles, PIXELS) * (self.high * self.pieces + 1)
            return 8 * addresses + 4 * tiles * self.apart + 64
        tile = 4 * LANES * self.tile.outputs**2
        return 4 * (self.products * tiles + FEW) * (self.depth + min(wide, STEP)) + tile + 64


def targets(
    target: PlaneLayout, rows: np.ndarray, columns: np.ndarray, pooled: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Offsets of the rows and columns to write, -1 where there is none; marks of pooled ones stay."""
    _, high, wide, lanes = target.stored
    step = 2 if pooled else 1
    images = np.arange(target.batch)[:, None, None] * high
    down = np.where(rows < 0, -1, (images + 1 + rows) * wide * lanes)
    across = np.where(columns < 0, -1, (1 + columns) * lanes)
    if step == 2:
        down[..., 1::2], across[..., 1::2] = rows[None, :, 1::2], columns[:, 1::2]
    return np.ascontiguousarray(down.reshape(-1, rows.shape[1])), np.ascontiguousarray(across)


#: Kernel size: the outputs of a tile of Winograd's algorithm.
_TILES = {3: 4, 5: 2}  # F(2, 7) would have four times the error of these


def algorithms(window: Window, channels: int, pooled: bool) -> list[Short | None]:
    """Algorithms that fit a convolution of so many channels; None is the product over all taps, fit for all.

    Args:
        pooled: whether a 2 x 2 pooling follows, which is done on tiles.
    """
    high, wide = window.kernel
    fits = high == wide and high in _TILES and window.stride == (1, 1) and channels % LANES == 0
    tiles: list[Short | None] = [short(_TILES[high], high)] if fits else []
    if not pooled:
        return [None, *tiles]
    return tiles if window.dilation == (1, 1) else []  # dilated, the results of a tile are not neighbours
