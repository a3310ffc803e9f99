"""Numbers brought into another order, compiled, and told whether they have changed."""

from __future__ import annotations

import numpy as np
from numba import float32, int64, njit, uint64, void

from .compiling import Address, Array, compiled
from .simd import LANES, index_at

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


_FLOATS = float32[:, :, :, ::1]


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
