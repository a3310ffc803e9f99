"""How the values of labels become classes: a table of them, or a threshold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from voc_layers.facts import VOID
from voc_layers.reading import SampleError

from .sample import Raster
from .survey import colour_of
from .table import VOID_NAMES, as_text, packed


class Coding(Protocol):
    """Makes classes of a label."""

    @property
    def names(self) -> tuple[str, ...]:
        """The classes, in the order of their indices."""

    @property
    def note(self) -> str:
        """What is done, in a line."""

    def encode(self, raster: Raster, path: Path) -> np.ndarray:
        """uint8 H x W: class indices, 255 = void. SampleError for a value that means none."""


@dataclass(frozen=True)
class Tabled:
    """classes: value, or packed colour, -> class index, or 255."""

    names: tuple[str, ...]
    classes: Mapping[int, int]
    coloured: bool
    note: str

    def encode(self, raster: Raster, path: Path) -> np.ndarray:
        keys = colours_of(raster) if self.coloured else grey_of(raster, path)
        known = np.array(sorted(self.classes), np.int32)
        place = np.searchsorted(known, keys).clip(max=len(known) - 1)
        strange = known[place] != keys
        if strange.any():
            some = np.unique(keys[strange])
            text = ", ".join(as_text(int(key), self.coloured) for key in some[:5])
            raise SampleError(f"{path}: expected the values of the classes, found {text} besides")
        index = np.array([self.classes[key] for key in known.tolist()], np.uint8)
        label: np.ndarray = index[place]
        return label


@dataclass(frozen=True)
class Threshold:
    """Two classes: below `level`, and from it on."""

    names: tuple[str, ...]
    level: int
    note: str

    def encode(self, raster: Raster, path: Path) -> np.ndarray:
        return (grey_of(raster, path) >= self.level).astype(np.uint8)


def grey_of(raster: Raster, path: Path) -> np.ndarray:
    """The values of a label of one channel; SampleError for one in colours."""
    if raster.coloured:
        raise SampleError(f"{path}: expected one channel, found colours; --values color reads those")
    return raster.values


def colours_of(raster: Raster) -> np.ndarray:
    """The packed colour of each pixel."""
    if raster.coloured:
        return packed(raster.values)
    values = raster.values
    low = int(values.min())
    lookup = np.array([colour_of(value, raster.palette) for value in range(low, int(values.max()) + 1)])
    colours: np.ndarray = lookup[values - low]
    return colours


def numbered(names: Sequence[str], void: int | None, note: str) -> Tabled:
    """The values are the classes; `void`, and one that is called so, is none."""
    kept = [name for name in names if name.lower() not in VOID_NAMES]
    index = {name: i for i, name in enumerate(kept)}
    classes = {value: index.get(name, VOID) for value, name in enumerate(names)}
    return Tabled(tuple(kept), classes if void is None else {**classes, void: VOID}, False, note)
