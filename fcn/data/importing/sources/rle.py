"""COCO's run lengths: how many pixels are outside, then inside, then outside, ..., column after column.

The compressed form is pycocotools' (maskApi.c, rleFrString): five bits a character, low ones first, from the
fourth number on as differences to the last but one. It is a page of code; the library that has it would be
compiled where there is no wheel.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def counts_of(text: str) -> list[int]:
    """The run lengths of a compressed string. ValueError for characters that are none of its digits."""
    counts: list[int] = []
    value, shift = 0, 0
    for character in text:
        digit = ord(character) - 48
        if not 0 <= digit < 64:
            raise ValueError(f"'{character}' is no digit of compressed run lengths")
        value |= (digit & 31) << shift
        shift += 5
        if digit & 32:  # more digits follow
            continue
        if digit & 16:  # negative
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value, shift = 0, 0
    if shift:
        raise ValueError("the compressed run lengths end within a number")
    return counts


def mask_of(counts: Sequence[int], height: int, width: int) -> np.ndarray:
    """bool height x width. ValueError where the runs are not as long as the mask."""
    if any(count < 0 for count in counts) or sum(counts) != height * width:
        raise ValueError(f"run lengths that do not add up to {height} x {width} pixels")
    inside = np.arange(len(counts)) % 2 == 1
    mask: np.ndarray = np.repeat(inside, counts).reshape(width, height).T
    return mask
