"""Reading every image and label of a split, to find what is wrong before a training does."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from voc_layers.facts import VOID
from voc_layers.folder import Split
from voc_layers.reading import SampleError

from ..tables import percent, table


@dataclass
class Check:
    """What a check of one split found. pixels: per class, and void last."""

    split: str
    images: int
    pixels: np.ndarray
    problems: list[str] = field(default_factory=list)

    def text(self, classes: tuple[str, ...]) -> str:
        """How many pixels each class has, and the problems."""
        total = max(int(self.pixels.sum()), 1)
        rows = [
            (name, str(count), percent(count / total))
            for name, count in zip((*classes, "void"), self.pixels.tolist())
        ]
        found = "no problems" if not self.problems else f"{len(self.problems)} problems"
        title = f"{self.split}: {self.images} images, {found}"
        return "\n".join([title, *(f"  {p}" for p in self.problems), table(("class", "pixels", "%"), rows)])


def check_split(split: Split) -> Check:
    """Read every pair of a split: missing files, sizes that differ, label values that are no class."""
    count = len(split.folder.classes)
    check = Check(split.name, len(split.ids), np.zeros(count + 1, np.int64))
    for name in split.ids:
        try:
            _, label = split.folder.pair(name)
        except SampleError as problem:
            check.problems.append(str(problem))
        else:
            pixels = np.bincount(label.ravel(), minlength=VOID + 1)
            check.pixels += np.append(pixels[:count], pixels[VOID])
    return check
