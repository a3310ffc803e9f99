"""What is to be written for a file, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from . import page, pictures, scores


@dataclass(frozen=True)
class Wishes:
    """What is written, and how.

    Attributes:
        out: the folder that it goes to.
        alpha: opacity of the overlays.
        tile, overlap: see `Model.predict`.
        scores: how scores are stored, one of `fcn.infer.scores.TYPES`; None: they are not.
        page: small copies of the images too, for a page.
        upright: photographs are turned as their EXIF tag says.
        pixels: the most that an image may have; None: Pillow's limit.
    """

    out: Path
    alpha: float = 0.5
    tile: int | None = None
    overlap: int | None = None
    scores: str | None = None
    page: bool = False
    upright: bool = False
    pixels: int | None = None

    def ends(self) -> tuple[str, ...]:
        """What the names of an image's files end in."""
        return pictures.ENDS + (scores.ENDS if self.scores else ()) + (page.ENDS if self.page else ())


@dataclass(frozen=True)
class Done:
    """What became of a file.

    Attributes:
        shares: class -> its part of the pixels, for each labeling; none where there is no result.
        frames: of a video.
        turned: its EXIF tag says that it lies on its side, and it was taken as it is stored.
        problem: why it could not be segmented, or not all of it.
    """

    path: Path
    shares: Sequence[dict[str, float]] = ()
    frames: int | None = None
    turned: bool = False
    problem: str | None = None
