"""What is counted of each image: its histogram, kept as the few cells that are not empty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from voc_layers.reading import SampleError

from ..npz import read_npz
from ..outputs import replacing

#: What the file with the counts of each image is called in the folder of a score.
COUNTS = "images.npz"
#: What the names of its arrays start with that are of the pixels near boundaries.
BAND = "band_"


@dataclass(frozen=True, eq=False)
class Cells:
    """An n x n histogram without its zeros. where: row * n + column, ascending; pixels: as many counts."""

    where: np.ndarray
    pixels: np.ndarray

    @classmethod
    def of(cls, hist: np.ndarray) -> Cells:
        """The cells of a histogram, n x n."""
        flat = np.asarray(hist).ravel()
        where = np.flatnonzero(flat)
        return cls(where.astype(np.int32), flat[where].astype(np.int64))

    def hist(self, classes: int) -> np.ndarray:
        """The histogram, int64 `classes` x `classes`."""
        flat = np.zeros(classes * classes, np.int64)
        flat[self.where] = self.pixels
        return flat.reshape(classes, classes)


@dataclass(frozen=True, eq=False)
class ImageCount:
    """One image: what of its pixels was true and predicted, how many are void.

    bands: the same of the pixels near a boundary, by how near; see `fcn.score.trimap`.
    """

    name: str
    cells: Cells
    void: int = 0
    bands: Mapping[int, Cells] = field(default_factory=dict)

    @property
    def scored(self) -> int:
        """Pixels that count."""
        return int(self.cells.pixels.sum())


@dataclass(frozen=True, eq=False)
class Tally:
    """A list of images, counted, in its order. classes: how many."""

    classes: int
    images: tuple[ImageCount, ...]

    @cached_property
    def hist(self) -> np.ndarray:
        """The sum over the images, int64 n x n."""
        return self._sum([image.cells for image in self.images])

    @property
    def void(self) -> int:
        """Void pixels of all images."""
        return sum(image.void for image in self.images)

    @cached_property
    def bands(self) -> dict[int, np.ndarray]:
        """Width -> histogram of the pixels so near to a boundary, of all images."""
        widths = self.images[0].bands if self.images else {}
        return {width: self._sum([image.bands[width] for image in self.images]) for width in widths}

    def _sum(self, parts: Sequence[Cells]) -> np.ndarray:
        flat = np.zeros(self.classes**2, np.int64)
        for part in parts:
            flat[part.where] += part.pixels
        return flat.reshape(self.classes, self.classes)


@dataclass(frozen=True, eq=False)
class Stored:
    """A tally as a file keeps it, to be compared with others later.

    classes, unseen: their names, and which are known to be in no image. weights: the file that was scored.
    """

    tally: Tally
    classes: tuple[str, ...]
    unseen: tuple[str, ...] = ()
    weights: str = ""

    def save(self, path: Path) -> None:
        """Write an .npz file: names, void pixels and histogram of each image; those of its bands, by width.

        Raises:
            OSError: it cannot be written; names the file.
        """
        images = self.tally.images
        widths = list(self.tally.bands)
        arrays: dict[str, Any] = {
            "classes": np.array(self.classes, np.str_),
            "unseen": np.array(self.unseen, np.str_),
            "weights": np.array(self.weights, np.str_),
            "names": np.array([image.name for image in images], np.str_),
            "void": np.array([image.void for image in images], np.int64),
            "widths": np.array(widths, np.int64),
            **_flat([image.cells for image in images]),
            **_flat([image.bands[width] for width in widths for image in images], BAND),
        }
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **arrays)

    @classmethod
    def load(cls, path: Path) -> Stored:
        """What `save` wrote.

        Raises:
            SampleError: the file is no such table, or is damaged.
            OSError: it cannot be read.
        """
        try:
            arrays = read_npz(path)
            return cls(
                _tally(arrays),
                tuple(map(str, arrays["classes"])),
                tuple(map(str, arrays["unseen"])),
                str(arrays["weights"]),
            )
        except (ValueError, LookupError, TypeError, OverflowError) as error:
            raise SampleError(
                f"{path}: expected the histograms of a score, found something else ({error}); score again"
            ) from error


def _flat(parts: Sequence[Cells], prefix: str = "") -> dict[str, np.ndarray]:
    """Histograms one after the other: how many cells each has, then all their places and pixels."""
    return {
        f"{prefix}cells": np.array([part.where.size for part in parts], np.int64),
        f"{prefix}where": np.concatenate([np.empty(0, np.int32), *(part.where for part in parts)]),
        f"{prefix}pixels": np.concatenate([np.empty(0, np.int64), *(part.pixels for part in parts)]),
    }


def _parts(arrays: Mapping[str, np.ndarray], count: int, classes: int, prefix: str = "") -> list[Cells]:
    """So many histograms of what `_flat` gave. ValueError where the arrays do not belong together."""
    cells, where, pixels = (arrays[f"{prefix}{key}"] for key in ("cells", "where", "pixels"))
    if any(array.dtype.kind not in "iu" for array in (cells, where, pixels)):
        raise ValueError("its counts are no whole numbers")
    fits = len(cells) == count and where.size == pixels.size == cells.sum()
    if not fits or (where.size and not 0 <= where.min() <= where.max() < classes**2):
        raise ValueError("its arrays do not belong together")
    ends = np.cumsum(cells)
    return [Cells(where[end - size : end], pixels[end - size : end]) for end, size in zip(ends, cells)]


def _tally(arrays: Mapping[str, np.ndarray]) -> Tally:
    """The tally of the arrays of a file. ValueError where they do not belong together."""
    classes, names, void = len(arrays["classes"]), arrays["names"], arrays["void"]
    if len(names) != len(void) or void.dtype.kind not in "iu":
        raise ValueError("its arrays do not belong together")
    images = len(names)
    parts = _parts(arrays, images, classes)
    widths = [int(width) for width in arrays.get("widths", ())]  # older files have none
    near = _parts(arrays, images * len(widths), classes, BAND) if widths else []
    bands = [dict(zip(widths, near[k::images])) for k in range(images)]
    counted = zip(names, parts, void, bands)
    return Tally(classes, tuple(ImageCount(str(name), part, int(v), band) for name, part, v, band in counted))
