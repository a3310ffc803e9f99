"""The pictures of an image: label map, overlay, legend; what they are called and how they are written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from voc_layers.reading import SampleError

from ..figures import ClassColours, drawn, legend, save_picture
from ..score import save_label

#: Rows that are blended at a time: the arithmetic is in float32, which takes four times the image.
ROWS = 256
#: What the names of the pictures of a labeling end in.
ENDS = (".png", "_overlay.png", "_legend.png")


def outputs(files: Sequence[Path], out: Path, ends: Sequence[str]) -> list[Path]:
    """What is written into `out` for files, of each its name with all `ends`.

    Raises:
        SampleError: two would get the same name.
    """
    made = {path: [out / f"{path.stem}{end}" for end in ends] for path in files}
    count = Counter(file for written in made.values() for file in written)
    repeated = sorted(
        {path.stem for path, written in made.items() if any(count[file] > 1 for file in written)}
    )
    if repeated:
        raise SampleError(
            f"the pictures of {', '.join(repeated)} would overwrite each other: images need different names"
        )
    return list(count)


def blend(image: np.ndarray, label: np.ndarray, classes: Sequence[str], alpha: float = 0.5) -> np.ndarray:
    """`ClassColours.overlay`, in little memory: uint8 H x W x 3."""
    colours, blended = ClassColours.of(classes), np.empty_like(image)
    for top in range(0, len(label), ROWS):
        rows = slice(top, top + ROWS)
        blended[rows] = colours.overlay(image[rows], label[rows], alpha)
    return blended


def write(
    name: str, out: Path, image: np.ndarray, label: np.ndarray, classes: Sequence[str], alpha: float
) -> None:
    """Write the three pictures of a labeling; what those to look at cannot show is a warning.

    Raises:
        OSError: one cannot be written; the label map is the first.
    """
    label_file, overlay, key = (out / f"{name}{end}" for end in ENDS)
    save_label(label, label_file)
    drawn(overlay, lambda: save_picture(Image.fromarray(blend(image, label, classes, alpha)), overlay))
    drawn(key, lambda: save_picture(legend(label, classes), key))


def write_frame(label: np.ndarray, folder: Path, number: int) -> Path:
    """Write the label map of a frame, the first of which has the number 1; returns the file."""
    path = folder / f"{number:06d}.png"
    save_label(label, path)
    return path
