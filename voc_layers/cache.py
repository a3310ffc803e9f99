"""Decoded samples kept in memory, up to a bound."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

#: The arrays of one sample, as decoded: an image and its label, say.
Sample = tuple[np.ndarray, ...]


class Cache:
    """The first samples asked for, as many as fit into `limit` bytes.

    None is thrown out for another: in a list that is read in turn the one that would go is the next to be
    needed, and in one drawn at random all are as likely.
    """

    def __init__(self, limit: int):
        self._room = limit
        self._kept: dict[int, Sample] = {}

    def get(self, index: int, read: Callable[[int], Sample]) -> Sample:
        """The sample, from memory or as `read` gives it or raises. Kept arrays are read-only."""
        found = self._kept.get(index)
        if found is None:
            found = read(index)
            size = sum(array.nbytes for array in found)
            if size <= self._room:
                self._room -= size
                for array in found:
                    array.flags.writeable = False
                self._kept[index] = found
        return found
