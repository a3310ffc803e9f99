"""Files of weights: what a caffemodel holds, other frameworks' formats, random weights to start from."""

from __future__ import annotations

from .exchange import SUFFIXES, Weights, convert, fill, read, write
from .random_start import save_random

__all__ = ["SUFFIXES", "Weights", "convert", "fill", "read", "save_random", "write"]
