"""Cityscapes' label maps, as the FCN score reads them, and the generated images that belong to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from voc_layers.facts import VOID
from voc_layers.reading import SampleError, read_image, read_label_png

from ..data.importing.sources.streets import CITYSCAPES

#: What the net's last score is for: no pixel is of it.
NO_CLASS = "(no class)"
#: The highest id of a label file (cityscapesScripts, helpers/labels.py).
MOST_ID = 33
#: A message names so many images.
NAMED = 10


@dataclass(frozen=True)
class StreetLabels:
    """gtFine/SPLIT/CITY/CITY_SHOT_FRAME_gtFine_labelIds.png below a folder; an id is CITY_SHOT_FRAME."""

    root: Path
    split: str = "val"

    @property
    def classes(self) -> tuple[str, ...]:
        """The 19 classes, in the order of their train ids, and what is none."""
        return (*CITYSCAPES, NO_CLASS)

    @cached_property
    def _files(self) -> dict[str, Path]:
        folder = self.root / "gtFine" / self.split
        found = {"_".join(path.name.split("_")[:3]): path for path in sorted(folder.glob("*/*_labelIds.png"))}
        if not found:
            raise SampleError(f"{folder}: expected label maps CITY/*_gtFine_labelIds.png, found none")
        return found

    @property
    def names(self) -> tuple[str, ...]:
        """The frames with a label map, city by city. SampleError where there are none."""
        return tuple(self._files)

    def label_path(self, name: str) -> Path:
        """The label map of a frame."""
        return self._files[name]

    def label(self, name: str) -> np.ndarray:
        """uint8 H x W, train ids 0 .. 18; all other ids are 255. SampleError for a value that is no id."""
        path = self.label_path(name)
        ids = read_label_png(path)
        if ids.min() < 0 or ids[ids != VOID].max(initial=0) > MOST_ID:
            raise SampleError(f"{path}: expected ids from 0 to {MOST_ID}, or 255, found others")
        lookup = np.full(VOID + 1, VOID, np.uint8)
        lookup[list(CITYSCAPES.values())] = np.arange(len(CITYSCAPES))
        label: np.ndarray = lookup[ids]
        return label


@dataclass(frozen=True)
class Generated:
    """A folder of images to score, CITY_SHOT_FRAME_leftImg8bit.png."""

    folder: Path

    def path(self, name: str) -> Path:
        """The image of a frame."""
        return self.folder / f"{name}_leftImg8bit.png"

    def require(self, names: Sequence[str]) -> None:
        """SampleError with the frames that have no image."""
        missing = [name for name in names if not self.path(name).is_file()]
        if missing:
            more = f" and {len(missing) - NAMED} more" if missing[NAMED:] else ""
            raise SampleError(
                f"{self.folder}: expected {len(names)} images ID_leftImg8bit.png, missing {len(missing)}: "
                f"{', '.join(missing[:NAMED])}{more}"
            )

    def image(self, name: str, size: tuple[int, int]) -> np.ndarray:
        """The image, made `size` (H, W) by bilinear interpolation: uint8 H x W x 3, RGB."""
        small = Image.fromarray(read_image(self.path(name)))
        return np.asarray(small.resize(size[::-1], Image.Resampling.BILINEAR))
