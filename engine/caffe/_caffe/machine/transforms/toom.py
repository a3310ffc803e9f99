"""Winograd's short convolutions, F(m, r): m results of a kernel of r taps from m + r - 1 products.

y = A ((G g) * (B d)) for a kernel g and m + r - 1 numbers d; in two dimensions each matrix is applied to
rows and columns. Source: Toom-Cook interpolation, as in Lavin and Gray, "Fast Algorithms for Convolutional
Neural Networks" (CVPR 2016), section 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

#: Where the polynomials are evaluated, by how many points besides infinity there are. Opposite points share
#: work; these keep the error of float32 lowest.
_POINTS = {
    5: (0.0, 2 / 3, -2 / 3, 1.5, -1.5),
}


@dataclass(frozen=True, eq=False)
class Short:
    """The matrices of F(m, r) with n = m + r - 1 products."""

    outputs: int  #: m
    taps: int  #: r
    into: tuple[tuple[float, ...], ...]  #: B (n x n), for the input
    kernel: np.ndarray  #: G (n x r), float64, for the weights
    back: tuple[tuple[float, ...], ...]  #: A (m x n), for the products

    @property
    def products(self) -> int:
        """n"""
        return self.outputs + self.taps - 1


@cache
def short(outputs: int, taps: int) -> Short:
    """F(outputs, taps). The rows of `into` and `kernel` are scaled by powers of two, `into`'s to near 1."""
    points = _POINTS[outputs + taps - 2]
    finite = len(points)
    a = np.zeros((outputs, finite + 1))
    g = np.zeros((finite + 1, taps))
    b = np.zeros((finite + 1, finite + 1))
    for i, point in enumerate(points):
        others = points[:i] + points[i + 1 :]
        a[:, i] = [point**power for power in range(outputs)]
        g[i] = [point**power for power in range(taps)]
        g[i] /= np.prod([point - other for other in others])
        b[i, :finite] = np.poly(others)[::-1]
    a[-1, -1] = g[-1, -1] = 1
    b[-1] = np.poly(points)[::-1]
    b[np.abs(b) < 1e-12] = 0
    scale = 2.0 ** np.round(np.log2(1 / np.abs(b).max(axis=1)))
    pairs = range(1, finite, 2)  # opposite points keep equal numbers, which `unrolled` counts on
    for i in pairs:
        b[i + 1] = b[i] * np.sign(b[i + 1] * b[i])
        a[:, i + 1] = a[:, i] * np.sign(a[:, i + 1] * a[:, i])
    return Short(
        outputs,
        taps,
        tuple(map(tuple, (b * scale[:, None]).tolist())),
        g / scale[:, None],
        tuple(map(tuple, a.tolist())),
    )
