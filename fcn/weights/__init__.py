"""Files of weights: what a caffemodel holds, other frameworks' formats, random weights to start from."""

from __future__ import annotations

from .dialects import VALUES, Weights
from .exchange import SUFFIXES, Reading, convert, fill, fill_from, read, write
from .random_start import save_random

__all__ = [
    "SUFFIXES",
    "VALUES",
    "Reading",
    "Weights",
    "convert",
    "fill",
    "fill_from",
    "read",
    "save_random",
    "write",
]
