"""Short convolutions along one line, F(m, r), by points on the unit circle: as exact as a plain sum.

y = A ((G g) * (B d)) for a kernel g of r taps and m + r - 1 numbers d, as with Winograd's (`toom`). His
points are real numbers; with them the error of F(2, 7) is a multiple of a plain sum's. Roots of unity do not
let it grow, however long the kernel is: they, 0 and infinity are the points here. A pair of conjugate roots
takes three products (Gauss). Source: Toom-Cook interpolation and transposition, as in Blahut, "Fast
Algorithms for Signal Processing" (2010), chapter 5.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Line:
    """The matrices of F(m, r) with p products, float64."""

    outputs: int  #: m
    taps: int  #: r
    into: np.ndarray  #: B (p x (m + r - 1)), for the input
    kernel: np.ndarray  #: G (p x r), for the weights
    back: np.ndarray  #: A (m x p), for the products

    @property
    def products(self) -> int:
        """p"""
        return len(self.kernel)


def line(outputs: int, taps: int) -> Line:
    """F(outputs, taps), of at least three numbers between them.

    The product of two polynomials, of `taps` and of `outputs` coefficients, is known by its values at as many
    points as it has coefficients. Its transpose is the convolution.
    """
    count = outputs + taps - 1
    values, sums = [], []  # at the points: by the coefficients, and by the products
    one = np.eye(len(_factors(count, count)))
    row = iter(one)
    for factor in _points(count, count):
        if len(factor) == 1:
            values.append(factor[0])
            sums.append(next(row))
        else:
            real, imaginary, both = next(row), next(row), next(row)
            values += factor[:2]
            sums += [real - imaginary, both - real - imaginary]
    into = np.linalg.solve(np.array(values), np.array(sums)).T
    into[np.abs(into) < 1e-12] = 0
    return Line(outputs, taps, into, _factors(count, taps), _factors(count, outputs).T)


def _factors(count: int, coefficients: int) -> np.ndarray:
    """What is multiplied, by the coefficients of a polynomial: (p x coefficients)."""
    return np.array([row for point in _points(count, coefficients) for row in point])


def _points(count: int, coefficients: int) -> list[list[np.ndarray]]:
    """For each of `count` points, or pair of conjugate ones, the rows that are multiplied there.

    A pair has the real part, the imaginary part, and their sum.
    """
    powers, roots = np.arange(coefficients), count - 2
    points = [[np.eye(coefficients)[0]], [np.eye(coefficients)[-1]], [np.ones(coefficients)]]
    if roots % 2 == 0:
        points.append([(-1.0) ** powers])
    for number in range(1, (roots + 1) // 2):
        angles = 2 * np.pi * number / roots * powers
        real, imaginary = np.cos(angles), np.sin(angles)
        points.append([real, imaginary, real + imaginary])
    return points
