"""The numbers of each image by itself, and which images are worst."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .counts import Tally
from .metrics import Scores


@dataclass(frozen=True)
class ImageScore:
    """One image. numbers: as `Scores.numbers` says of its own histogram, NaN where all of it is void."""

    name: str
    numbers: dict[str, float]
    scored: int
    void: int

    @property
    def mean_iu(self) -> float:
        """Over the classes that are true or predicted in this image."""
        return self.numbers["mean IU"]

    def as_dict(self) -> dict[str, Any]:
        """For JSON and CSV: fractions of 1, None where there is no number; then pixels."""
        known = {name: None if math.isnan(value) else value for name, value in self.numbers.items()}
        return {"name": self.name, **known, "scored_pixels": self.scored, "void_pixels": self.void}


def image_scores(tally: Tally, unseen: tuple[int, ...] = ()) -> tuple[ImageScore, ...]:
    """The numbers of each image, in the order of the list. unseen: see `Scores`."""
    return tuple(
        ImageScore(one.name, Scores(one.cells.hist(tally.classes), unseen).numbers(), one.scored, one.void)
        for one in tally.images
    )


def worst(scores: Sequence[ImageScore], count: int = 5) -> list[ImageScore]:
    """The images with the lowest mean IU, lowest first; those that are void have none."""
    return sorted((one for one in scores if not math.isnan(one.mean_iu)), key=lambda one: one.mean_iu)[:count]


def images_csv(scores: Sequence[ImageScore]) -> str:
    """A line per image, under a header; '' without images."""
    rows = [one.as_dict() for one in scores]
    out = io.StringIO()
    if rows:
        writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return out.getvalue()
