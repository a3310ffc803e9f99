"""Images as Caffe gets them from OpenCV: H x W x C, uint8, BGR; read and written with Pillow.

C is 1 for grey, 3 for BGR, 4 for BGRA. Pillow, as libpng and libjpeg, gives the pixels of the file; what
OpenCV does to them afterwards (grey, CMYK, 16 bit, resizing) is done here with its integer arithmetic.
"""

from __future__ import annotations

import io
import os
import struct
import zlib
from typing import TYPE_CHECKING, Literal

import numpy as np

from ..errors import DataError

if TYPE_CHECKING:
    from PIL import Image

#: How to decode: three channels, one, or as many as the file has (OpenCV's IMREAD_UNCHANGED).
Mode = Literal["color", "gray", "stored"]

#: What Pillow raises, besides its own, for files that are damaged, are no images, or ask for too much memory.
_UNDECODED = (
    OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, TypeError, LookupError,
    ArithmeticError, RuntimeError, MemoryError,
)  # fmt: skip
_ORIENTATION = 0x0112  # the EXIF tag
_DEEP = ("I;16", "I;16L", "I;16B", "I;16N")
_TAP_ONE = 1 << 11  # 1.0 as an interpolation weight


def read(path: str, color: bool = True, height: int = 0, width: int = 0) -> np.ndarray:
    """The image file at `path` (H, W, 3) or, with `color` off, (H, W, 1); resized if both sizes are given.

    Raises:
        DataError: the file cannot be opened or is no image.
    """
    image = decode(path, "color" if color else "gray", f"image '{path}'")
    return resize(image, height, width) if height and width else image


def decode(source: str | bytes, mode: Mode, what: str) -> np.ndarray:
    """The image in a file (its name) or in memory (its bytes), (H, W, C) uint8.

    Args:
        what: the image's name for messages.

    Raises:
        DataError: there is no such file, it is no image, or it has more than 8 bits where `stored` asks
            for all of them.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            return _pixels(image, mode, what)
    except FileNotFoundError as error:
        raise DataError(f"could not open {what}: there is no such file{_in_other_case(source)}") from error
    except DataError:
        raise
    except (*_UNDECODED, Image.DecompressionBombError) as error:
        raise DataError(f"could not decode {what}: {error or 'out of memory'}") from error


def _in_other_case(source: str | bytes) -> str:
    """The file whose suffix differs in its case alone, as the end of a message; '' where there is none."""
    stem, suffix = os.path.splitext(os.fsdecode(source))
    there = [other for other in {suffix.lower(), suffix.upper()} - {suffix} if os.path.exists(stem + other)]
    return f", but '{os.path.basename(stem)}{there[0]}' is there" if there else ""


def _pixels(image: Image.Image, mode: Mode, what: str) -> np.ndarray:
    if mode == "gray":
        image.draft("L", image.size)  # a JPEG's own luminance
    is_png = image.format == "PNG"
    is_deep = image.mode in _DEEP or any(";16" in str(tile) for tile in getattr(image, "tile", ()))
    if mode != "stored" and image.getexif().get(_ORIENTATION, 1) != 1:
        from PIL import ImageOps

        image = ImageOps.exif_transpose(image)
    if image.mode in ("I", "F") or (is_deep and mode == "stored"):
        raise DataError(f"{what} has more than 8 bits per channel: convert it to 8 bits")
    if image.mode in _DEEP:
        pixels = (np.asarray(image) >> 8).astype(np.uint8)[..., None]
    elif image.mode == "CMYK":
        pixels = _cmyk_to_bgr(np.asarray(image))
    else:
        pixels = _stored(image)
    if mode == "color":
        return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels[..., :3]
    return _gray(pixels, is_png) if mode == "gray" else pixels


def _stored(image: Image.Image) -> np.ndarray:
    """Grey as one channel, everything else as BGR, with alpha if the file has it."""
    if image.mode in ("1", "L"):
        return np.asarray(image.convert("L"))[..., None]
    alpha = "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info
    array = np.asarray(image.convert("RGBA" if alpha else "RGB"))
    return array[..., [2, 1, 0, 3]] if alpha else array[..., ::-1]


def _gray(pixels: np.ndarray, is_png: bool) -> np.ndarray:
    """Luminance. libpng's weights are cut, not rounded; those of OpenCV's other readers are rounded."""
    if pixels.shape[2] == 1:
        return pixels
    blue, green, red = (pixels[..., i].astype(np.int32) for i in range(3))
    if is_png:
        gray = (9797 * red + 19234 * green + 3737 * blue) >> 15
    else:
        gray = (4899 * red + 9617 * green + 1868 * blue + (1 << 13)) >> 14
    return gray.astype(np.uint8)[..., None]


def _cmyk_to_bgr(pixels: np.ndarray) -> np.ndarray:
    """OpenCV's conversion of Adobe's inverted CMYK, which Pillow has inverted back."""
    inverted = 255 - pixels.astype(np.int32)
    black = inverted[..., 3:]
    return (black - ((255 - inverted[..., 2::-1]) * black >> 8)).astype(np.uint8)


def resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """OpenCV's bilinear `resize` of (H, W, C) uint8: half-pixel centres, weights of 11 bits, no smoothing."""
    if image.shape[:2] == (height, width):
        return image
    rows, row_taps = _taps(image.shape[0], height)
    columns, column_taps = _taps(image.shape[1], width)
    # Outside the centres of the first and the last column the weight is exactly one; not so for rows.
    outside = (columns[0] < 0) | (columns[1] >= image.shape[1])
    column_taps[:, outside] = [[0], [_TAP_ONE]]
    rows, columns = rows.clip(0, image.shape[0] - 1), columns.clip(0, image.shape[1] - 1)
    source = image.astype(np.int32)
    wide = sum(source[:, at] * tap[:, None] for at, tap in zip(columns, column_taps))
    # Rounded as by its vector code: 4 bits are dropped, then 16, then 2.
    tall = sum((wide[at] >> 4) * tap[:, None, None] >> 16 for at, tap in zip(rows, row_taps))
    resized: np.ndarray = ((tall + 2) >> 2).astype(np.uint8)
    return resized


def _taps(size: int, target: int) -> tuple[np.ndarray, np.ndarray]:
    """(2, target) indices of the two pixels that each new one lies between, and their weights."""
    position = ((np.arange(target) + 0.5) * (1.0 / (target / size)) - 0.5).astype(np.float32)
    base = np.floor(position).astype(np.int64)
    fraction = position - base.astype(np.float32)
    weights = np.rint(np.stack([1 - fraction, fraction]) * np.float32(_TAP_ONE)).astype(np.int32)
    return np.stack([base, base + 1]), weights


def encode(image: np.ndarray, extension: str) -> bytes:
    """An (H, W, 1), BGR or BGRA image as a file's bytes, in the format that belongs to the extension.

    JPEG has OpenCV's quality of 95.

    Raises:
        DataError: no format that can be written has this extension.
    """
    from PIL import Image

    known = Image.registered_extensions().get(f".{extension.lstrip('.').lower()}")
    if known is None:
        raise DataError(f"images cannot be encoded as '{extension}': use an extension such as jpg or png")
    array = image[..., 0] if image.shape[2] == 1 else image[..., [2, 1, 0, 3][: image.shape[2]]]
    settings = {"quality": 95, "subsampling": 2} if known == "JPEG" else {}
    stream = io.BytesIO()
    try:
        Image.fromarray(np.ascontiguousarray(array)).save(stream, known, **settings)
    except (OSError, KeyError) as error:
        raise DataError(f"an image of {image.shape[2]} channels as '{extension}': {error}") from error
    return stream.getvalue()
