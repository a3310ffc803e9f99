"""Planes: maps kept channels-last, each distinct row and column once.

A net that pads by far more than its kernels need, so that maps of any size can be cropped from it, has maps
whose rows between frame and image are all equal; so are columns. A row of a map is known by the rows that it
was made of, so equal ones are found before anything is computed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch

from ..machine import moves
from ..machine.simd import LANES
from ..machine.workers import Job, Jobs, shared, workers


def distinct(made_of: Sequence[Hashable]) -> tuple[int, ...]:
    """Numbers for rows by what they are made of, equal for equal, in the order of appearance."""
    numbers: dict[Hashable, int] = {}
    return tuple(numbers.setdefault(row, len(numbers)) for row in made_of)


@dataclass(frozen=True)
class PlaneLayout:
    """Where the numbers of an (N, C, H, W) map are: N x (1 + rows) x (margin + columns) x pitch.

    A pixel has `lanes` numbers, C of them used. Row 0 and the columns of the margin are zeros, and so are as
    many pixels after the last one: beside each row lie zeros on either side.
    """

    batch: int
    channels: int
    rows: tuple[int, ...]  #: for each of the H rows, which of the stored ones it is
    columns: tuple[int, ...]  #: for each of the W columns, which of the stored ones it is
    lanes: int  #: how many numbers a pixel has
    margin: int = 1  #: columns of zeros before each row
    wider: int = 0  #: of some channels of another map: how many numbers that one's pixels have
    _hash: int = field(init=False, repr=False, compare=False)  # hashing long rows takes time

    def __post_init__(self) -> None:
        numbers = self.batch, self.channels, self.rows, self.columns, self.lanes, self.margin, self.wider
        object.__setattr__(self, "_hash", hash(numbers))

    def __hash__(self) -> int:
        return self._hash

    @property
    def dims(self) -> tuple[int, int, int, int]:
        """(N, C, H, W)"""
        return self.batch, self.channels, len(self.rows), len(self.columns)

    @property
    def pitch(self) -> int:
        """How far one pixel is from the next."""
        return self.wider or self.lanes

    @cached_property
    def stored(self) -> tuple[int, int, int, int]:
        """The shape in memory."""
        rows, columns = (1 + max(axis, default=-1) for axis in (self.rows, self.columns))
        return self.batch, 1 + rows, self.margin + columns, self.pitch

    @cached_property
    def places(self) -> tuple[np.ndarray, np.ndarray]:
        """For each of the H rows and W columns, which of those in memory it is, zeros included."""
        return 1 + np.array(self.rows, np.int64), self.margin + np.array(self.columns, np.int64)

    @property
    def whole(self) -> bool:
        """Whether every row and column is stored."""
        return self.stored[1:3] == (1 + len(self.rows), self.margin + len(self.columns))

    @cached_property
    def count(self) -> int:
        """How many numbers are stored."""
        return math.prod(self.stored)

    @property
    def room(self) -> int:
        """How many numbers there is memory for: what is stored, and the zeros after it.

        Pixels that are no whole vectors are read a vector at a time, which may begin at the last of these.
        """
        return self.count + self.margin * self.pitch + (LANES if self.pitch % LANES else 0)

    def row_offsets(self, wanted: np.ndarray) -> np.ndarray:
        """Offsets of rows, for each image in turn; those outside of the map are rows of zeros.

        Args:
            wanted: (count, n) row numbers of the map.

        Returns:
            (N * count, n) int64.
        """
        _, rows, columns, lanes = self.stored
        inside = (wanted >= 0) & (wanted < len(self.rows))
        found = np.where(inside, 1 + np.asarray(self.rows)[np.where(inside, wanted, 0)], 0).astype(np.int64)
        images = np.arange(self.batch)[:, None, None] * rows
        return np.ascontiguousarray((images + found).reshape(-1, wanted.shape[1])) * (columns * lanes)

    def column_offsets(self, wanted: np.ndarray) -> np.ndarray:
        """Offsets of columns; those outside of the map are columns of zeros, in the margin their own.

        (count, n) both.
        """
        wide, margin = len(self.columns), self.margin
        columns = np.concatenate([np.arange(margin), margin + np.asarray(self.columns, np.int64)])
        columns = np.append(columns, self.stored[2] + np.arange(margin))
        near = (wanted >= -margin) & (wanted < wide + margin)
        return columns[np.where(near, wanted + margin, 0)] * self.pitch


def whole(batch: int, channels: int, height: int, width: int, lanes: int, margin: int = 1) -> PlaneLayout:
    """The layout of a map whose rows and columns may all differ."""
    return PlaneLayout(batch, channels, tuple(range(height)), tuple(range(width)), lanes, margin)


NOTHING = PlaneLayout(0, 0, (), (), 0)


class Plane:
    """A map in memory that is kept from pass to pass."""

    def __init__(self) -> None:
        self._memory = torch.empty(0)
        self._home: tuple[Plane, int, int] | None = None
        self.layout = NOTHING
        self.allocate: Callable[[int], torch.Tensor] = torch.empty  #: makes room for so many numbers

    def live_in(self, home: Plane, first: int, channels: int) -> None:
        """Be a part of another plane from now on: its channels from `first` on, of so many in all."""
        self._home = home, first, channels

    @property
    def wider(self) -> int:
        """`wider` of the layouts that it can be given."""
        return self._home[2] if self._home else 0

    def part_of(self, other: Plane) -> bool:
        """Whether what is written here is written there."""
        return self._home is not None and self._home[0] is other

    @property
    def address(self) -> int:
        """Of the first number."""
        if self._home is not None:
            return self._home[0].address + 4 * self._home[1]
        return self._memory.data_ptr()

    @property
    def pixel(self) -> int:
        """The address of the first pixel of the map."""
        _, _, wide, pitch = self.layout.stored
        return self.address + 4 * (wide + self.layout.margin) * pitch

    def lay_out(self, layout: PlaneLayout) -> None:
        """Make room for a map of this layout; rows and columns of zeros are written, the rest is not."""
        if self._home is not None:
            plane, _, channels = self._home
            plane.lay_out(replace(layout, channels=channels, lanes=channels, wider=0))
            self.layout = layout
            return
        if layout == self.layout:
            return
        if layout.room > self._memory.numel():
            self._memory = self.allocate(layout.room)
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
        stored[:, :, : self.layout.margin] = 0
        self._memory[self.layout.count : self.layout.room] = 0

    def clear(self) -> None:
        """Write zeros everywhere."""
        self.view().zero_()

    def view(self) -> torch.Tensor:
        """(N, 1 + rows, margin + columns, lanes)"""
        if self._home is not None:
            plane, first, _ = self._home
            return plane.view()[..., first : first + self.layout.lanes]
        return self._memory[: self.layout.count].view(self.layout.stored)

    def read(self, values: torch.Tensor) -> None:
        """Take the values of a whole map, (N, C, H, W)."""
        maps = values.contiguous()
        if maps.numel():
            workers.do(Jobs([self.filling(maps)]))

    def filling(self, maps: torch.Tensor) -> Job:
        """What `read` does; the work begins with the address of the map, which has no gaps."""
        return self._job(maps, fills=True)

    def values(self) -> torch.Tensor:
        """The map, (N, C, H, W), contiguous and of its own."""
        made = torch.empty(self.layout.dims)
        if made.numel():
            workers.do(Jobs([self.reading(made)]))
        return made

    def reading(self, maps: torch.Tensor) -> Job:
        """What writes the map to `maps`, which have no gaps; the work begins with their address."""
        return self._job(maps, fills=False)

    def _job(self, maps: torch.Tensor, fills: bool) -> Job:
        layout, (batch, channels, height, width) = self.layout, self.layout.dims
        rows, columns = layout.places
        _, high, wide, pitch = layout.stored
        work = moves.Rows(
            maps=maps.data_ptr(),
            plane=self.address,
            rows=rows.ctypes.data,
            columns=columns.ctypes.data,
            channels=channels,
            high=height,
            wide=width,
            lanes=layout.lanes,
            pixel=pitch,
            row=wide * pitch,
            image=high * wide * pitch,
            fills=fills,
        )
        return shared(moves.move, work, batch * height, channels * width)
