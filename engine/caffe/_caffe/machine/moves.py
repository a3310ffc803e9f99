"""Numbers brought into another order, compiled: weights, maps; and told whether they have changed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import float32, float64, int64, njit, uint64, void

from .compiling import Address, Array, compiled
from .simd import COLUMNS, LANES, index_at, number_at, put_number, record

_MIX = np.uint64(0x9E3779B97F4A7C15)


@njit(inline="always")
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


_FLOATS, _DOUBLES = float32[:, :, :, ::1], float64[:, ::1]


@compiled(void(_FLOATS, _DOUBLES, _FLOATS, int64, int64))
def pack_tiles(weight: Array, g: Array, target: Array, first: int, count: int) -> None:
    """Transformed weights g w g' of (O, C, r, r) kernels to (n * n, O/COLUMNS, C, COLUMNS).

    Items `first` to `first + count`, of which there are O/COLUMNS times C; float64 up to the last rounding.
    """
    outputs, channels, taps = weight.shape[:3]
    n = g.shape[0]
    kernels, half, sums = np.empty((taps, taps, COLUMNS)), np.empty((n, taps, COLUMNS)), np.empty(COLUMNS)
    for item in range(first, first + count):
        panel, c = item // channels, item % channels
        used = min(COLUMNS, outputs - panel * COLUMNS)
        for lane in range(used):
            for m in range(taps):
                for k in range(taps):
                    kernels[m, k, lane] = weight[panel * COLUMNS + lane, c, m, k]
        for i in range(n):
            for k in range(taps):
                half[i, k] = 0
                for m in range(taps):
                    for lane in range(COLUMNS):
                        half[i, k, lane] += g[i, m] * kernels[m, k, lane]
        for i in range(n):
            for j in range(n):
                sums[:] = 0
                for k in range(taps):
                    for lane in range(COLUMNS):
                        sums[lane] += g[j, k] * half[i, k, lane]
                for lane in range(used):
                    target[i * n + j, panel, c, lane] = sums[lane]


@compiled(void(_FLOATS, _FLOATS, int64, int64, int64))
def pack_taps(weight: Array, target: Array, lanes: int, first: int, count: int) -> None:
    """Weights of (O, C, kh, kw) to (1, O/COLUMNS, kh * kw * lanes, COLUMNS); items as in `pack_tiles`."""
    outputs, channels, high, wide = weight.shape
    for item in range(first, first + count):
        panel, c = item // channels, item % channels
        for lane in range(min(COLUMNS, outputs - panel * COLUMNS)):
            for i in range(high):
                for j in range(wide):
                    target[0, panel, (i * wide + j) * lanes + c, lane] = weight[
                        panel * COLUMNS + lane, c, i, j
                    ]


class Filling(NamedTuple):
    """Maps (N, C, H, W) to a plane that stores every row and column."""

    maps: int
    channels: int
    height: int
    width: int
    plane: int
    margin: int
    lanes: int
    size: int = 0  #: rows of a piece
    items: int = 0  #: rows of all maps


_, _filling_at = record(Filling)


@compiled(void(int64, int64, int64))
def fill_plane(work: Address, piece: int, _: Address) -> None:
    """A piece of a `Filling`."""
    g = _filling_at(work)
    across = g.margin + g.width
    for item in range(piece * g.size, min((piece + 1) * g.size, g.items)):
        image, y = item // g.height, item % g.height
        row = g.plane + 4 * g.lanes * ((image * (1 + g.height) + 1 + y) * across + g.margin)
        for c in range(g.channels):
            source = g.maps + 4 * ((image * g.channels + c) * g.height + y) * g.width
            target = row + 4 * c
            for x in range(g.width):
                put_number(number_at(source + 4 * x), target + 4 * g.lanes * x)
        for c in range(g.channels, g.lanes):
            for x in range(g.width):
                put_number(float32(0), row + 4 * (g.lanes * x + c))


@compiled(void(_FLOATS, int64, int64[::1], int64[::1], _FLOATS, int64, int64))
def read_plane(
    stored: Array, channel: int, rows: Array, columns: Array, maps: Array, first: int, count: int
) -> None:
    """Rows `first` to `first + count` of all maps (N, C, H, W), from a plane's channels from `channel` on.

    Args:
        rows, columns: which of those in memory each row and column of the map is.
    """
    channels, height, width = maps.shape[1:]
    for item in range(first, first + count):
        image, y = item // height, item % height
        row = stored[image, rows[y]]
        for start in range(0, channels, LANES):
            for x in range(width):
                pixel = row[columns[x]]
                for c in range(start, min(channels, start + LANES)):
                    maps[image, c, y, x] = pixel[channel + c]
