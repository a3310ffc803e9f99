"""Types of arguments that the benchmarks' command lines share."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable


def size_type(text: str) -> tuple[int, int]:
    """`HxW` as (H, W)."""
    try:
        height, width = (int(part) for part in text.lower().split("x"))
    except ValueError:
        height = width = 0
    if min(height, width) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not HxW, height and width in pixels, as 334x500")
    return height, width


def names_of(table: Iterable[str]) -> Callable[[str], list[str]]:
    """`name,name` as a list of names of `table`, each once, in the order given."""
    known = list(table)

    def names(text: str) -> list[str]:
        found = list(dict.fromkeys(part for part in text.split(",") if part))
        unknown = [name for name in found if name not in known]
        if unknown or not found:
            raise argparse.ArgumentTypeError(f"'{', '.join(unknown)}' is none of {', '.join(known)}")
        return found

    return names
