"""Labels that are drawn: shapes with the names of their classes, each over those before it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from voc_layers.facts import VOID
from voc_layers.reading import SampleError

from ..options import Options
from ..sample import Raster
from ..table import VOID_NAMES

#: Makes a mask, bool H x W, for a height and a width. ValueError where it can't.
Draw = Callable[[int, int], np.ndarray]
#: Coordinates beyond this are no pixels'.
FARTHEST = 1e6
#: Names, in lower case, of what no shape covers.
BACKGROUND = ("background", "_background_", "__background__", "bg")


@dataclass(frozen=True)
class Shape:
    """What is drawn, and the name of its class."""

    name: str
    draw: Draw


@dataclass(frozen=True)
class DrawnLabel:
    """Shapes over background. size: H and W that they were drawn for; None: those of the image."""

    path: Path
    shapes: tuple[Shape, ...]
    classes: dict[str, int]
    size: tuple[int, int] | None = None

    def read(self, size: tuple[int, int]) -> Raster:
        """Class indices, 255 = void; SampleError for a shape that can't be drawn."""
        if self.size not in (None, size, size[::-1]):
            raise SampleError(
                f"{self.path}: was made for an image of {self.size} (H, W), found one of {size}"
            )
        height, width = self.size or size
        label = np.zeros((height, width), np.int32)
        for shape in self.shapes:
            try:
                label[shape.draw(height, width)] = self.classes[shape.name]
            except ValueError as error:
                raise SampleError(f"{self.path}: a shape of '{shape.name}': {error}") from error
        return Raster(label, fitted=self.size is None)


def class_indices(found: Iterable[str], options: Options, order: Sequence[str] = ()) -> dict[str, int]:
    """name -> class index, for the names of shapes: background is 0, void 255.

    Args:
        found: the names that occur.
        order: the classes in the order of the source, if it has one; --classes comes before it.

    Raises:
        SampleError: a name that --classes lacks; more names than there may be classes.
    """
    names = list(options.classes or order or sorted({name for name in found if not _is_special(name)}))
    classes = [name for name in names if not _is_special(name)]
    zero = next((name for name in names if name.lower() in BACKGROUND), "background")
    indices = {zero: 0, **{name: i for i, name in enumerate(classes, 1)}}
    for name in dict.fromkeys(found):
        if name.lower() in BACKGROUND:
            indices[name] = 0
        elif name.lower() in VOID_NAMES:
            indices[name] = VOID
        elif name not in indices:
            raise SampleError(
                f"the class '{name}' of the shapes is not among {', '.join(classes)}: add it to --classes"
            )
    if len(classes) >= VOID:
        raise SampleError(f"expected at most {VOID - 1} classes besides background, found {len(classes)}")
    return indices


def names_of(indices: dict[str, int]) -> tuple[str, ...]:
    """The classes in the order of their indices."""
    first: dict[int, str] = {}
    for name, index in indices.items():
        if index != VOID:
            first.setdefault(index, name if index else "background")
    return tuple(first[index] for index in sorted(first))


def _is_special(name: str) -> bool:
    return name.lower() in (*BACKGROUND, *VOID_NAMES)


def points_of(numbers: object, least: int) -> np.ndarray:
    """N x 2 coordinates of JSON's lists. ValueError where they are none, or fewer than `least`."""
    try:
        points = np.array(numbers, np.float64).reshape(-1, 2)
    except (TypeError, ValueError, OverflowError):
        points = np.empty((0, 2))
    if len(points) < least or not (np.abs(points) < FARTHEST).all():
        raise ValueError(f"expected {least} or more points of two numbers, found {str(numbers)[:60]}")
    return points
