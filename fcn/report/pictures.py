"""The pictures of an image, small enough for a page: the photograph, and label maps as palette PNGs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from voc_layers.facts import VOID

from ..figures import ClassColours, shares
from ..infer.markup import data_uri
from ..score import ImageScore
from ..tables import percent

#: The longest side of a picture, in pixels.
SIDE = 640
#: Classes in the legend of an image.
LEGEND = 8


@dataclass(frozen=True)
class Example:
    """One scored image. image: uint8 H x W x 3, or None where there are only label maps; truth and guess:
    H x W class indices, 255 = void."""

    score: ImageScore
    image: np.ndarray | None
    truth: np.ndarray
    guess: np.ndarray

    @property
    def size(self) -> tuple[int, int]:
        """Width and height on the page: no side is above SIDE."""
        height, width = self.truth.shape
        scale = min(1.0, SIDE / max(height, width))
        return max(1, round(width * scale)), max(1, round(height * scale))

    def context(self, colours: ClassColours) -> dict[str, Any]:
        """For the template."""
        width, height = self.size
        numbers = self.score.numbers
        found = _legend(self.truth, self.guess, colours)
        maps = {"truth": self.truth, "prediction": self.guess}
        pictures = [(name, label_png(label, self.size, colours)) for name, label in maps.items()]
        if self.image is not None:
            pictures.insert(0, ("image", photograph(self.image, self.size)))
        return {
            "name": self.score.name,
            "numbers": f"mean IU {percent(self.score.mean_iu)} %, "
            f"pixel acc. {percent(numbers['overall accuracy'])} %",
            "width": width,
            "height": height,
            "pictures": pictures,
            "legend": found[:LEGEND],
            "more": max(0, len(found) - LEGEND),
        }


def _legend(truth: np.ndarray, guess: np.ndarray, colours: ClassColours) -> list[dict[str, str]]:
    """The classes of an image, those with the largest share of truth and prediction first."""
    both = np.stack([np.where(truth == VOID, guess, truth), guess])
    return [
        {"name": name, "share": f"{100 * share:.1f} %", "colour": colours.css(colours.classes.index(name))}
        for name, share in shares(both, colours.classes).items()
    ]


def photograph(image: np.ndarray, size: tuple[int, int]) -> str:
    """The address of a JPEG with an image, uint8 H x W x 3, in it."""
    picture = Image.fromarray(image)
    if picture.size != size:
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    return data_uri(picture, "jpeg", quality=85, optimize=True)


def label_png(label: np.ndarray, size: tuple[int, int], colours: ClassColours) -> str:
    """The address of a PNG with a label map, H x W, in it: its palette has a colour for each class."""
    picture = Image.fromarray(np.asarray(label, np.uint8))
    if picture.size != size:
        picture = picture.resize(size, Image.Resampling.NEAREST)
    picture.putpalette(colours.palette.ravel().tolist())
    return data_uri(picture, "png", optimize=True)


def palette_data(colours: ClassColours) -> dict[str, Any]:
    """What the page's program knows of the classes."""
    listed = [
        {"name": name, "rgb": colours.palette[k].tolist(), "css": colours.css(k)}
        for k, name in enumerate(colours.classes)
    ]
    return {"classes": listed, "clear": colours.clear, "none": "void"}
