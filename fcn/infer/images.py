"""Images and videos to segment: found by name, and decoded."""

from __future__ import annotations

import glob
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from voc_layers.files import IMAGE_SUFFIXES, has_suffix
from voc_layers.inputs import Input, LogDepth
from voc_layers.reading import UNDECODED, SampleError, as_rgb, open_image

#: What is taken for a video by its name; what is in it is for the decoder to say.
VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".ogv")
#: EXIF's tag Orientation; 1 is upright.
ORIENTATION = 0x0112
#: Bits of a sample of what is no file.
BITS = 8


def find_files(arguments: Sequence[str]) -> list[Path]:
    """The files that are meant: files as they are, all images and videos of a folder, and patterns (`*.jpg`).

    Raises:
        SampleError: a folder with neither.
    """
    found: list[Path] = []
    for argument in arguments:
        path = Path(argument)
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if has_suffix(p, (*IMAGE_SUFFIXES, *VIDEO_SUFFIXES)))
            if not inside:
                raise SampleError(
                    f"{path}: expected images ({', '.join(IMAGE_SUFFIXES)}) or videos, found none"
                )
            found += inside
        else:
            found += [path] if path.exists() else map(Path, sorted(glob.glob(argument)) or [argument])
    return found


def is_video(path: Path) -> bool:
    """Whether a file is a video, by its name."""
    return has_suffix(path, VIDEO_SUFFIXES)


@contextmanager
def allowing(pixels: int | None) -> Iterator[None]:
    """Let Pillow decode images of up to so many pixels inside; of up to its own limit where that is None."""
    if pixels is None:
        yield
        return
    before = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = pixels / 2  # type: ignore[assignment]  # Pillow refuses more than twice as many
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


def read_photo(path: str | Path, upright: bool = False) -> np.ndarray:
    """A photograph, uint8 H x W x 3, RGB; see `voc_layers.reading.read_image`.

    upright: turned as its EXIF tag says; else as its pixels are stored.
    """
    image, depth = open_image(Path(path))
    return as_rgb(ImageOps.exif_transpose(image) if upright else image, depth, str(path))


def is_turned(path: Path) -> bool:
    """Whether a file's EXIF tag says that its pixels are not stored as they are looked at."""
    try:
        with Image.open(path) as image:
            return bool(image.getexif().get(ORIENTATION, 1) != 1)
    except UNDECODED:
        return False


def from_memory(image: Image.Image | np.ndarray, one: Input, upright: bool = False) -> np.ndarray:
    """An image that is no file, as an input of a net reads it.

    Raises:
        SampleError: it is not uint8 H x W x 3; of a depth map, not H x W, or not above 0 everywhere.
    """
    if isinstance(one, LogDepth):
        return _depth(np.asarray(image), one)
    if isinstance(image, Image.Image):
        return as_rgb(ImageOps.exif_transpose(image) if upright else image, BITS, one.name)
    array = np.asarray(image)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3:
        raise SampleError(
            f"{one.name}: expected an RGB array, uint8 of (H, W, 3), found {array.dtype} of {array.shape}"
        )
    return array


def _depth(array: np.ndarray, one: Input) -> np.ndarray:
    if array.ndim != 2 or not (array > 0).all():
        found = f"{array.dtype} of {array.shape}, {np.count_nonzero(~(array > 0))} values not above 0"
        raise SampleError(f"{one.name}: expected a depth above 0 in every pixel (H, W), found {found}")
    return array
