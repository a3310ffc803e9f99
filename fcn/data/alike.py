"""Images that look alike: scoring on what was trained on measures memory.

The hash is a difference hash (dHash): of a small grey copy, whether each pixel is brighter than its left
neighbour. Copies that were scaled or compressed again have nearly the same one. What was turned, mirrored or
cut out is not found.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from PIL import Image

SIDE = 16
#: Grey levels by which a neighbour has to be brighter: in even parts, less is noise.
STEP = 1.5
#: How many of the 256 bits of a hash may differ between copies, and by how many grey levels on average.
MOST_BITS, MOST_LEVELS = 14, 6.0
_CHUNK = 1024


def thumbnail(image: np.ndarray) -> np.ndarray:
    """A grey copy of 16 x 17 pixels, uint8, of an image in RGB."""
    small = Image.fromarray(image).convert("L").resize((SIDE + 1, SIDE), Image.Resampling.BOX)
    return np.asarray(small)


def alike(first: Mapping[str, np.ndarray], second: Mapping[str, np.ndarray]) -> list[tuple[str, str]]:
    """The names of `second` whose thumbnails look like one of `first`, each with the likest of them."""
    if not first or not second:
        return []
    names = list(first)
    known = np.stack([first[name] for name in names]).astype(np.float32)
    bits = _bits(known)
    found = []
    for start in range(0, len(second), _CHUNK):
        chunk = list(second)[start : start + _CHUNK]
        asked = np.stack([second[name] for name in chunk]).astype(np.float32)
        distance = (bits.shape[1] - _bits(asked) @ bits.T) / 2
        for i, row in enumerate(distance):
            near = np.flatnonzero(row <= MOST_BITS)
            levels = np.abs(known[near] - asked[i]).mean((1, 2))
            if near.size and levels.min() <= MOST_LEVELS:
                found.append((names[near[levels.argmin()]], chunk[i]))
    return found


def _bits(thumbnails: np.ndarray) -> np.ndarray:
    """N x 256 of -1 and 1, so that a product counts the bits that are the same."""
    brighter = np.diff(thumbnails, axis=2) > STEP
    signs: np.ndarray = np.where(brighter.reshape(len(brighter), -1), np.float32(1), np.float32(-1))
    return signs
