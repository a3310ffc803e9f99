"""Numbers on a command line: types for argparse that know their range."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import TypeVar

Number = TypeVar("Number", int, float)

#: What a seed may be: NumPy's and Caffe's generators take 32 bits.
LARGEST_SEED = 2**31 - 1


def whole(least: int = 0, most: int | None = None) -> Callable[[str], int]:
    """A whole number from `least` to `most`."""
    wanted = f"a whole number from {least}" + (f" to {most}" if most is not None else " on")

    def number(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least or (most is not None and value > most):
            raise argparse.ArgumentTypeError(f"expected {wanted}, found '{text}'")
        return value

    return number


def real(least: float, most: float | None = None, above: bool = False) -> Callable[[str], float]:
    """A finite number from `least` (or above it) to `most`."""
    wanted = f"a number {'above' if above else 'from'} {least:g}" + (
        f" to {most:g}" if most is not None else ""
    )

    def number(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value) or value < least or (above and value == least):
            raise argparse.ArgumentTypeError(f"expected {wanted}, found '{text}'")
        if most is not None and value > most:
            raise argparse.ArgumentTypeError(f"expected {wanted}, found '{text}'")
        return value

    return number


def several(number: Callable[[str], Number]) -> Callable[[str], tuple[Number, ...]]:
    """Different numbers with commas between them, in the order given."""

    def numbers(text: str) -> tuple[Number, ...]:
        found = tuple(map(number, text.split(",")))
        if len(set(found)) < len(found):
            raise argparse.ArgumentTypeError(f"expected different numbers, found '{text}'")
        return found

    return numbers


def pair(
    separator: str, number: Callable[[str], Number], wanted: str
) -> Callable[[str], tuple[Number, Number]]:
    """Two numbers with a separator between them, for example `wanted`."""

    def numbers(text: str) -> tuple[Number, Number]:
        first, found, second = text.partition(separator)
        if not found:
            raise argparse.ArgumentTypeError(f"expected two numbers as in {wanted}, found '{text}'")
        return number(first), number(second)

    return numbers


seed = whole(0, LARGEST_SEED)
width = real(0, above=True)
