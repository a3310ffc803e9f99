"""Planes: maps kept channels-last, each distinct row and column once.

A net that pads by far more than its kernels need, so that maps of any size can be cropped from it, has maps
whose rows between frame and image are all equal; so are columns. A row of a map is known by the rows that it
was made of, so equal ones are found before anything is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch

from ..machine import moves
from ..machine.workers import in_pieces


def distinct(made_of: Sequence[Hashable]) -> tuple[int, ...]:
    """Numbers for rows by what they are made of, equal for equal, in the order of appearance."""
    numbers: dict[Hashable, int] = {}
    return tuple(numbers.setdefault(row, len(numbers)) for row in made_of)


@dataclass(frozen=True)
class PlaneLayout:
    """Where the numbers of an (N, C, H, W) map are: N x (1 + rows) x (1 + columns) x lanes, C lanes used.

    Row 0 and column 0 of each image are zeros.
    """

    batch: int
    channels: int
    rows: tuple[int, ...]  #: for each of the H rows, which of the stored ones it is
    columns: tuple[int, ...]  #: for each of the W columns, which of the stored ones it is
    lanes: int  #: how many numbers a pixel has
    _hash: int = field(init=False, repr=False, compare=False)  # hashing long rows takes time

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "_hash", hash((self.batch, self.channels, self.rows, self.columns, self.lanes))
        )

    def __hash__(self) -> int:
        return self._hash

    @property
    def dims(self) -> tuple[int, int, int, int]:
        """(N, C, H, W)"""
        return self.batch, self.channels, len(self.rows), len(self.columns)

    @cached_property
    def stored(self) -> tuple[int, int, int, int]:
        """The shape in memory."""
        return self.batch, 2 + max(self.rows, default=-1), 2 + max(self.columns, default=-1), self.lanes

    @property
    def whole(self) -> bool:
        """Whether every row and column is stored."""
        return self.stored[1:3] == (1 + len(self.rows), 1 + len(self.columns))

    @cached_property
    def count(self) -> int:
        """How many numbers are stored."""
        batch, rows, columns, lanes = self.stored
        return batch * rows * columns * lanes

    def row_offsets(self, wanted: np.ndarray) -> np.ndarray:
        """Offsets of rows, for each image in turn; those outside of the map are rows of zeros.

        Args:
            wanted: (count, n) row numbers of the map.

        Returns:
            (N * count, n) int64.
        """
        _, rows, columns, lanes = self.stored
        found = self._found(self.rows, wanted)
        images = np.arange(self.batch)[:, None, None] * rows
        return np.ascontiguousarray((images + found).reshape(-1, wanted.shape[1])) * (columns * lanes)

    def column_offsets(self, wanted: np.ndarray) -> np.ndarray:
        """Offsets of columns; those outside of the map are columns of zeros. (count, n) both."""
        return self._found(self.columns, wanted) * self.lanes

    @staticmethod
    def _found(stored: tuple[int, ...], wanted: np.ndarray) -> np.ndarray:
        inside = (wanted >= 0) & (wanted < len(stored))
        return np.where(inside, 1 + np.asarray(stored)[np.where(inside, wanted, 0)], 0).astype(np.int64)


def whole(batch: int, channels: int, height: int, width: int, lanes: int) -> PlaneLayout:
    """The layout of a map whose rows and columns may all differ."""
    return PlaneLayout(batch, channels, tuple(range(height)), tuple(range(width)), lanes)


NOTHING = PlaneLayout(0, 0, (), (), 0)


class Plane:
    """A map in memory that is kept from pass to pass."""

    def __init__(self) -> None:
        self._memory = torch.empty(0)
        self.layout = NOTHING
        self.allocate: Callable[[int], torch.Tensor] = torch.empty  #: makes room for so many numbers

    @property
    def address(self) -> int:
        """Of the first number."""
        return self._memory.data_ptr()

    def lay_out(self, layout: PlaneLayout) -> None:
        """Make room for a map of this layout; rows and columns of zeros are written, the rest is not."""
        if layout == self.layout:
            return
        if layout.count > self._memory.numel():
            self._memory = self.allocate(layout.count)
        self.layout = layout
        self.clear_outside()

    def release(self) -> torch.Tensor:
        """Give the memory away, and hold no map any more."""
        memory, self._memory, self.layout = self._memory, torch.empty(0), NOTHING
        return memory

    def clear_outside(self) -> None:
        """Write the rows and columns of zeros."""
        stored = self.view()
        stored[:, 0] = 0
        stored[:, :, 0] = 0

    def view(self) -> torch.Tensor:
        """(N, 1 + rows, 1 + columns, lanes)"""
        return self._memory[: self.layout.count].view(self.layout.stored)

    def read(self, values: torch.Tensor) -> None:
        """Take the values of a whole map, (N, C, H, W)."""
        inside = self.view()[:, 1:, 1:]
        channels = self.layout.channels
        inside[..., :channels] = values.permute(0, 2, 3, 1)
        inside[..., channels:] = 0

    def values(self) -> torch.Tensor:
        """The map, (N, C, H, W), contiguous and of its own."""
        batch, channels, height, width = self.layout.dims
        made = torch.empty(self.layout.dims)
        rows, columns = (np.array(axis, np.int64) for axis in (self.layout.rows, self.layout.columns))
        stored, maps = self.view().numpy(), made.numpy()
        in_pieces(
            batch * height,
            channels * width,
            lambda first, count: moves.read_plane(stored, rows, columns, maps, first, count),
        )
        return made
