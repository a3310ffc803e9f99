"""Outlines as masks: a pixel is inside where its centre is. Points are x, y from the upper left corner."""

from __future__ import annotations

import numpy as np


def polygon(points: np.ndarray, height: int, width: int) -> np.ndarray:
    """A closed outline, N x 2, by the even-odd rule: bool height x width."""
    toggles = np.zeros((height, width + 1), np.int32)
    for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0)):
        if y0 == y1:
            continue
        (low, at_low), (high, at_high) = ((y0, x0), (y1, x1)) if y0 < y1 else ((y1, x1), (y0, x0))
        # An edge counts for the rows whose centres it passes: from `low` on, and below `high`.
        first, last = (int(np.clip(np.ceil(y - 0.5), 0, height)) for y in (low, high))
        rows = np.arange(first, last)
        x = at_low + (rows + 0.5 - low) * ((at_high - at_low) / (high - low))
        columns = np.clip(np.ceil(x - 0.5), 0, width).astype(np.intp)
        toggles[rows, columns] += 1
    inside: np.ndarray = np.cumsum(toggles[:, :width], axis=1) % 2 == 1
    return inside


def rectangle(points: np.ndarray, height: int, width: int) -> np.ndarray:
    """Between two opposite corners, 2 x 2."""
    (x0, y0), (x1, y1) = points
    return polygon(np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)]), height, width)


def circle(points: np.ndarray, height: int, width: int) -> np.ndarray:
    """A centre, and a point of the rim, 2 x 2."""
    (x, y), rim = points[0], points[1]
    radius = np.hypot(*(rim - points[0]))
    rows, columns = np.ogrid[:height, :width]
    inside: np.ndarray = np.hypot(columns + 0.5 - x, rows + 0.5 - y) <= radius
    return inside
