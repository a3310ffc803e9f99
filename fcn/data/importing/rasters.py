"""Labels in files of their own: images, NumPy's and MATLAB's arrays."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from voc_layers.files import IMAGE_SUFFIXES, MAT_SUFFIXES, has_suffix
from voc_layers.matfile import MatError, arrays
from voc_layers.reading import SampleError, altered, open_image, stored_values

from .sample import Raster

#: Of labels, in lower case. JPEG, GIF and WebP are among them to be refused with the reason.
RASTER_SUFFIXES = (*IMAGE_SUFFIXES, ".npy", *MAT_SUFFIXES)
#: Of those that no image has.
ARRAY_SUFFIXES = (".npy", *MAT_SUFFIXES)
#: Alpha below this is transparent.
OPAQUE = 128


@dataclass(frozen=True)
class RasterLabel:
    """A label file. array: which of the arrays of a .mat file, where there are several."""

    path: Path
    array: str | None = None

    def read(self, size: tuple[int, int]) -> Raster:
        """The values as they are stored.

        Raises:
            SampleError: the file does not decode, or does not keep the values of a label.
        """
        if has_suffix(self.path, (".npy",)):
            return _checked(_read_npy(self.path), self.path)
        if has_suffix(self.path, MAT_SUFFIXES):
            return _checked(_read_mat(self.path, self.array), self.path)
        return _read_image(self.path)


def _read_npy(path: Path) -> np.ndarray:
    try:
        # Mapped, not read: a damaged header may claim any size.
        values: Any = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError, OverflowError) as error:
        raise SampleError(
            f"{path}: expected an array of NumPy, found a file that is none ({error})"
        ) from error
    if not isinstance(values, np.ndarray):
        raise SampleError(f"{path}: expected one array of NumPy (.npy), found an archive of several (.npz)")
    return values


def _read_mat(path: Path, name: str | None) -> np.ndarray:
    try:
        found = arrays(path)
    except MatError as error:
        raise SampleError(f"{path}: expected a .mat file with a label; {error}") from error
    if name is None and len(found) == 1:
        return next(iter(found.values()))
    if name not in found:
        which = f"one called {name}" if name else "one"
        raise SampleError(
            f"{path}: expected {which} of H x W, found {', '.join(sorted(found)) or 'none'}; "
            "--mat-name says which"
        )
    return found[name]


def _checked(values: np.ndarray, path: Path) -> Raster:
    """An array as a raster: H x W whole numbers, or H x W x 3 bytes, which are colours."""
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[:, :, 0]
    if values.ndim == 3 and values.shape[2] == 3 and values.dtype == np.uint8:
        return Raster(values)
    if values.ndim != 2 or not values.size or values.dtype.kind not in "biuf":
        raise SampleError(
            f"{path}: expected a label of H x W, found {values.dtype} of the shape {values.shape}"
        )
    whole = np.isfinite(values) & (values == np.rint(values)) if values.dtype.kind == "f" else np.True_
    if not np.all(whole):
        raise SampleError(
            f"{path}: expected whole numbers, found {values[~whole][0]} in {int((~whole).sum())} pixels; "
            "round probabilities to classes first"
        )
    if values.min() < -(2**15) or values.max() >= 2**16:
        raise SampleError(f"{path}: expected label values of 16 bits, found {values.min()} .. {values.max()}")
    return Raster(values.astype(np.int32))


def _read_image(path: Path) -> Raster:
    image, depth = open_image(path)
    if image.format == "WEBP":
        why: str | None = "a WebP, which seldom keeps the values of a label"
    else:
        why = altered(image, depth)
    if why:
        raise SampleError(
            f"{path}: expected a PNG, found {why}; export the labels again without loss, as PNG"
        )
    if image.mode in ("LA", "La", "RGBA", "PA"):
        return _without_alpha(image)
    if image.mode in ("P", "L", "1", "I", "I;16", "I;16B"):
        palette = tuple(image.getpalette() or ()) if image.mode == "P" else ()
        return Raster(stored_values(image, depth).astype(np.int32), palette)
    if image.mode == "RGB" and depth <= 8:
        return _as_grey(np.array(image))
    raise SampleError(
        f"{path}: expected a label of one channel, or RGB of 8 bits, found mode {image.mode} of {depth} bits"
    )


def _without_alpha(image: Image.Image) -> Raster:
    """The colours; what is transparent counts as black, whatever colour lies below."""
    rgba = np.array(image.convert("RGBA"))
    clear = rgba[..., 3] < OPAQUE
    colours = np.where(clear[..., None], np.uint8(0), rgba[..., :3])
    return _as_grey(colours, "transparent pixels are black" if clear.any() else "")


def _as_grey(colours: np.ndarray, note: str = "") -> Raster:
    """One channel where the three are the same, as of a grey mask that was saved in RGB."""
    grey = (colours == colours[..., :1]).all()
    return Raster(colours[..., 0].astype(np.int32) if grey else colours, (), note)
