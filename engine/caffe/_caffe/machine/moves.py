"""Numbers brought into another order, compiled: weights, maps; and told whether they have changed."""

from __future__ import annotations

import numpy as np
from numba import float32, float64, int64, njit, uint64, void

from .compiling import Address, Array, compiled
from .simd import COLUMNS, LANES, index_at

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


@compiled(void(float32[:, :, :, ::1], float32[:, :, :, ::1], int64, int64))
def fill_plane(maps: Array, stored: Array, first: int, count: int) -> None:
    """Rows `first` to `first + count` of all maps (N, C, H, W) to a plane that stores every row."""
    channels, height, width = maps.shape[1:]
    lanes = stored.shape[3]
    for item in range(first, first + count):
        image, y = item // height, item % height
        for x in range(width):
            pixel = stored[image, 1 + y, 1 + x]
            for c in range(channels):
                pixel[c] = maps[image, c, y, x]
            for c in range(channels, lanes):
                pixel[c] = 0


@compiled(void(float32[:, :, :, ::1], int64[::1], int64[::1], float32[:, :, :, ::1], int64, int64))
def read_plane(stored: Array, rows: Array, columns: Array, maps: Array, first: int, count: int) -> None:
    """Rows `first` to `first + count` of all maps (N, C, H, W), from a plane.

    Args:
        rows, columns: which of the stored ones each row and column of the map is.
    """
    channels, height, width = maps.shape[1:]
    for item in range(first, first + count):
        image, y = item // height, item % height
        row = stored[image, 1 + rows[y]]
        for start in range(0, channels, LANES):
            for x in range(width):
                pixel = row[1 + columns[x]]
                for c in range(start, min(channels, start + LANES)):
                    maps[image, c, y, x] = pixel[c]
