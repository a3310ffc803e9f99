"""What a net says of one image: the label map, its pictures, and how a notebook shows it."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from ..figures import legend, save_picture, shares
from ..score import save_label
from .markup import data_uri, legend_html
from .pictures import blend


class Prediction:
    """The class of each pixel of one image.

    Attributes:
        label: uint8 H x W, indices of `classes`.
        classes: their names.
        image: what the net looked at first, uint8 H x W x 3, RGB.
        name: what `save` calls the files.
        more: where a net says more than one thing of a pixel (SIFT Flow's geometric classes), the others.
    """

    def __init__(
        self,
        label: np.ndarray,
        classes: tuple[str, ...],
        image: np.ndarray,
        name: str,
        compute: Callable[[], np.ndarray],
    ) -> None:
        self.label, self.classes, self.image, self.name = label, classes, image, name
        self.more: tuple[Prediction, ...] = ()
        self._compute = compute

    @cached_property
    def scores(self) -> np.ndarray:
        """Class scores, float32 K x H x W; computed when they are first asked for, if they were not kept."""
        return self._compute()

    @property
    def shares(self) -> dict[str, float]:
        """Class -> its share of the pixels (0 .. 1), largest first; absent classes are left out."""
        return shares(self.label, self.classes)

    def overlay(self, alpha: float = 0.5) -> Image.Image:
        """The classes' colours laid over the image; the background stays clear. alpha: 0 .. 1."""
        return Image.fromarray(blend(self.image, self.label, self.classes, alpha))

    def legend(self) -> Image.Image:
        """The classes that are there, with their colours and shares."""
        return legend(self.label, self.classes)

    def save(self, folder: str | Path) -> list[Path]:
        """Write NAME.png (class indices, VOC's palette), NAME_overlay.png and NAME_legend.png into a folder.

        Those of `more` too. Returns the files.

        Raises:
            OSError: one cannot be written.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        label, over, key = (folder / f"{self.name}{end}.png" for end in ("", "_overlay", "_legend"))
        save_label(self.label, label)
        save_picture(self.overlay(), over)
        save_picture(self.legend(), key)
        return [label, over, key, *(file for one in self.more for file in one.save(folder))]

    def __repr__(self) -> str:
        height, width = self.label.shape
        found = ", ".join(f"{name} {100 * share:.1f} %" for name, share in self.shares.items())
        return f"<Prediction of {self.name}, {width} x {height}: {found}>"

    def _repr_png_(self) -> bytes:
        file = io.BytesIO()
        self.overlay().save(file, "PNG")
        return file.getvalue()

    def _repr_html_(self) -> str:
        picture = f'<img src="{data_uri(self.overlay())}" alt="overlay" style="max-width: 100%">'
        shown = f"<div>{picture}{legend_html(self.shares, self.classes)}</div>"
        return shown + "".join(one._repr_html_() for one in self.more)
