"""One look at a pair of image and label: all that a check needs to know of it, and nothing large."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from voc_layers.facts import VOID
from voc_layers.folder import Folder
from voc_layers.reading import SampleError

from .alike import thumbnail

Colour = tuple[int, ...]


@dataclass(frozen=True)
class Look:
    """What is in a pair.

    Attributes:
        pixels: of each label value, 256 of them.
        palette: R, G, B of each index; empty where the label has none.
        size: height and width.
        kinds: the suffixes of image and label, in lower case.
        thumbnail: the image in a few grey pixels, see `alike.thumbnail`; None where it was not decoded.
    """

    name: str
    pixels: np.ndarray
    palette: Colour
    size: tuple[int, int]
    kinds: tuple[str, str]
    thumbnail: np.ndarray | None


@dataclass(frozen=True)
class Fault:
    """A pair that can't be used, and why."""

    name: str
    problem: str


def look(folder: Folder, name: str, decode: bool = True) -> Look | Fault:
    """Read a pair. decode: the image whole, and not only its size."""
    try:
        if decode:
            image, label, palette = folder.sample(name)
            small = thumbnail(image)
        else:
            (label, palette), small = folder.peek(name), None
        kinds = folder.image_path(name).suffix.lower(), folder.label_path(name).suffix.lower()
    except SampleError as problem:
        return Fault(name, str(problem))
    pixels = np.bincount(label.ravel(), minlength=VOID + 1)
    return Look(name, pixels, palette, (label.shape[0], label.shape[1]), kinds, small)
