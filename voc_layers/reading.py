"""Images, label maps, class lists and split lists from files, checked. Imports no caffe.

Labels are uint8 H x W: a class index per pixel, 255 = void. Images are uint8 H x W x 3, RGB, as stored.
"""

from __future__ import annotations

import codecs
import os
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from .facts import MEAN_BGR, VOID
from .matfile import MatError, variable
from .whole import read_whole

_PNG = b"\x89PNG\r\n\x1a\n"
_TIFF_BITS, _TIFF_WHITE = 258, 262  # the tags BitsPerSample and PhotometricInterpretation
#: What Pillow raises for files that are damaged, are no images, or ask for more memory than there is.
UNDECODED = (
    OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, TypeError, LookupError,
    ArithmeticError, RuntimeError, MemoryError, Image.DecompressionBombError,
)  # fmt: skip


class SampleError(ValueError):
    """A data set is not what it should be: says the file, what was expected and what was found."""


@dataclass(frozen=True)
class ClassList:
    """classes.txt: a class name a line, the first is index 0; optional lines `# mean: B G R`, `# void: N`."""

    names: tuple[str, ...]
    mean: tuple[float, ...] = MEAN_BGR
    void: int = VOID


def read_classes(path: str | Path) -> ClassList:
    """Read a classes.txt; SampleError where a line or a setting cannot be understood."""
    path = Path(path)
    names: list[str] = []
    settings: dict[str, list[float]] = {}
    for number, line in enumerate(read_text(path).splitlines(), 1):
        line = line.strip()
        if line.startswith("#"):
            key, colon, rest = line[1:].partition(":")
            if colon and key.strip() in ("mean", "void"):
                settings[key.strip()] = _numbers(rest, 3 if key.strip() == "mean" else 1, f"{path}:{number}")
        elif line:
            names.append(line)
    if not 1 <= len(names) <= VOID or len(set(names)) < len(names):
        raise SampleError(
            f"{path}: expected 1 to {VOID} different class names, one a line; found {len(names)} "
            f"lines, {len(set(names))} different"
        )
    mean, void = settings.get("mean", MEAN_BGR), settings.get("void", [VOID])[0]
    return ClassList(tuple(names), tuple(mean), int(void))


def _numbers(text: str, count: int, where: str) -> list[float]:
    try:
        values = [float(word) for word in text.replace(",", " ").split()]
    except ValueError:
        values = []
    if len(values) != count or not np.isfinite(values).all():
        raise SampleError(
            f"{where}: expected {count} number{'s' if count > 1 else ''} after the colon, "
            f"found {text.strip()!r}"
        )
    return values


def read_split(path: str | Path) -> list[str]:
    """The image ids of a split list, in order.

    Raises:
        SampleError: the list is missing or empty, or an id leads out of the folder of images.
    """
    ids = read_lines(path)
    outside = [name for name in ids if Path(name).is_absolute() or ".." in Path(name).parts]
    if outside:
        raise SampleError(
            f"{path}: expected image ids, names of files below the folder of images without their suffixes, "
            f"found '{outside[0]}', which leads out of it"
        )
    return ids


def read_lines(path: str | Path) -> list[str]:
    """The lines of a list, without empty ones; SampleError where there are none."""
    lines = [line.strip() for line in read_text(path).splitlines() if line.strip()]
    if not lines:
        raise SampleError(f"{path}: expected one entry a line, found an empty list")
    return lines


def read_text(path: str | Path) -> str:
    """A text file: UTF-8 or UTF-16, with the mark that Windows puts at the start or (UTF-8) without it.

    Raises:
        SampleError: there is no such file, it is in another encoding, or far too large.
    """
    path = Path(path)
    if not path.is_file():
        raise SampleError(f"{path}: expected a text file, found {'a folder' if path.is_dir() else 'nothing'}")
    try:
        data = read_whole(path)
    except ValueError as error:
        raise SampleError(str(error)) from error
    encoding = "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise SampleError(
            f"{path}:{line}: expected text in UTF-8, found the byte 0x{data[error.start]:02x}; save it as "
            "UTF-8"
        ) from error
    if "\0" in text:
        raise SampleError(f"{path}: expected text in UTF-8, found bytes that are zero; save it as UTF-8")
    return text


def beside(path: Path) -> str:
    """The files that differ from a missing one in their suffix alone, as the end of a message; '' if none."""
    if not path.parent.is_dir():
        return ""
    alike = sorted(name for name in os.listdir(path.parent) if os.path.splitext(name)[0] == path.stem)
    return f"; there is {', '.join(alike)}" if alike else ""


def open_image(path: Path) -> tuple[Image.Image, int]:
    """An image as Pillow decodes it, and how many bits the file has for a sample.

    Raises:
        SampleError: there is no such file, it does not decode, or it holds several images.
    """
    if not path.is_file():
        raise SampleError(
            f"{path}: expected an image, found {'a folder' if path.is_dir() else 'nothing'}{beside(path)}"
        )
    try:
        with path.open("rb") as file:
            return decode(file, str(path))
    except OSError as error:
        raise SampleError(f"{path}: expected an image, found a file that cannot be read ({error})") from error


def decode(
    file: BinaryIO, name: str, most: int | None = None, formats: tuple[str, ...] | None = None
) -> tuple[Image.Image, int]:
    """An image from an open file, as `open_image` gives it. name: of messages.

    Args:
        most: pixels; an image of more is refused before it is decoded. Pillow has a limit besides.
        formats: Pillow's names of those that are read; by default all that it knows.

    Raises:
        SampleError: the file does not decode, has too many pixels, or holds several images.
    """
    try:
        image: Image.Image
        head = file.read(32)
        file.seek(0)
        with Image.open(file, formats=formats) as image:
            pixels = image.width * image.height
            if most is None or pixels <= most:
                frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
                image.load()
    except UNDECODED as error:
        raise SampleError(
            f"{name}: expected an image, found a file that does not decode ({error or 'out of memory'})"
        ) from error
    if most is not None and pixels > most:
        size = f"{image.width} x {image.height}"
        raise SampleError(f"{name}: expected an image of at most {most:,} pixels, found {size}")
    if frames > 1:  # but for MPO, a camera's JPEG with a second view after it
        raise SampleError(f"{name}: expected one image, found {frames} in one file; save the one that counts")
    return image, _depth(image, head)


def _depth(image: Image.Image, head: bytes) -> int:
    """Bits of a sample: Pillow makes eight of more and of fewer without a word."""
    if head.startswith(_PNG):
        return head[24]  # of IHDR, the first chunk: width, height, bit depth
    if head.startswith(b"BM"):
        return min(
            8, head[24 if head[14] == 12 else 28]
        )  # of a pixel, in which a colour has 8 of 16, 24 or 32
    bits = getattr(image, "tag_v2", {}).get(_TIFF_BITS, (8,))
    return int(max(bits)) if isinstance(bits, tuple) else int(bits)


def read_image(path: str | Path) -> np.ndarray:
    """Read an image as uint8 H x W x 3, RGB. Grey and palette images become RGB.

    Transparency, CMYK and more than 8 bits a channel have no one meaning as RGB: SampleError.
    """
    return as_rgb(*open_image(Path(path)), str(path))


def as_rgb(image: Image.Image, depth: int, name: str) -> np.ndarray:
    """An image as `read_image` gives it. depth: bits of a sample in its file. name: of messages."""
    if image.mode in ("RGBA", "LA") and image.getchannel("A").getextrema() == (255, 255):
        image = image.convert("RGB")
    if image.mode not in ("RGB", "L", "P", "1") or depth > 8:
        raise SampleError(
            f"{name}: expected an RGB or grey image of 8 bits, found mode {image.mode} of {depth} bits a "
            "channel; convert it, for example with Pillow's Image.convert('RGB')"
        )
    return np.array(image.convert("RGB"))


def read_depth(path: str | Path) -> np.ndarray:
    """Read a depth map, H x W, of one channel of 8 or 16 bits, with the holes filled.

    Raises:
        SampleError: it has colours, is stored in a way that does not keep the values, or has pixels without
            depth: their logarithm is no number.
    """
    depth = read_indexed_png(path)[0]
    empty = int(np.count_nonzero(depth <= 0))
    if empty:
        raise SampleError(
            f"{path}: expected a depth above 0 in every pixel, found 0 in {empty}; fill the holes first"
        )
    return depth


def read_size(path: str | Path) -> tuple[int, int]:
    """Height and width of an image, from the start of its file."""
    path = Path(path)
    try:
        with Image.open(path) as image:
            return image.height, image.width
    except UNDECODED as error:
        why = error or "out of memory"
        raise SampleError(f"{path}: expected an image, found a file that is none ({why})") from error


def read_label_png(path: str | Path) -> np.ndarray:
    """Read a label map, H x W: indices of a palette PNG, or values of a grey one. SampleError for colour."""
    return read_indexed_png(path)[0]


def read_indexed_png(path: str | Path) -> tuple[np.ndarray, tuple[int, ...]]:
    """A label map and its palette, R, G, B of each index; of a grey file there is none.

    Raises:
        SampleError: it has colours, or is stored in a way that does not keep the values.
    """
    path = Path(path)
    image, depth = open_image(path)
    if why := altered(image, depth):
        raise SampleError(f"{path}: expected a PNG, found {why}")
    if image.mode not in ("P", "L", "1", "I", "I;16"):
        raise SampleError(
            f"{path}: expected one channel of class indices (palette or grey PNG), found mode "
            f"{image.mode} of {len(image.getbands())} channels; a picture of the label's colours "
            "is not a label: save the class index of each pixel"
        )
    return stored_values(image, depth), tuple(image.getpalette() or ()) if image.mode == "P" else ()


def stored_values(image: Image.Image, depth: int) -> np.ndarray:
    """The values of an image of one channel as its file has them, H x W; see `open_image`."""
    values = np.array(image)
    if image.mode == "L" and depth < 8:
        values //= 255 // (2**depth - 1)  # Pillow stretches them to 0 .. 255
    return values


def altered(image: Image.Image, depth: int) -> str | None:
    """Why the values of an image are not those that were saved; None if they are."""
    if image.format in ("JPEG", "MPO"):
        return "a JPEG, which does not keep the values of a label"
    if image.format == "GIF":
        return "a GIF, whose writers number the colours anew"
    if image.info.get("compression") == "jpeg":
        return "a TIFF compressed as a JPEG, which does not keep the values of a label"
    if getattr(image, "tag_v2", {}).get(_TIFF_WHITE) == 0:
        return "a TIFF in which 0 is white, so that its values are turned round"
    if image.format == "BMP" and image.mode == "L" and depth < 8:
        return f"a grey BMP of {depth} bits, which is not read right; save it with 8"
    return None


def read_label_mat(path: str | Path, name: str = "GTcls", field: str | None = "Segmentation") -> np.ndarray:
    """Read a label map, H x W, of a .mat file: by default SBD's class segmentation, `GTcls.Segmentation`."""
    path = Path(path)
    if not path.is_file():
        raise SampleError(f"{path}: expected a .mat file, found nothing")
    try:
        label = variable(path, name, field)
    except MatError as error:
        what = name if field is None else f"{name}.{field}"
        raise SampleError(f"{path}: expected a .mat file with {what}; {error}") from error
    if label.ndim != 2:
        raise SampleError(f"{path}: expected a label of H x W, found the shape {label.shape}")
    return label


def read_label(path: str | Path) -> tuple[np.ndarray, tuple[int, ...]]:
    """A label map of either kind, told by the suffix, and its palette; see `read_indexed_png`."""
    return (read_label_mat(path), ()) if Path(path).suffix.lower() == ".mat" else read_indexed_png(path)


def count_from_zero(
    label: np.ndarray, path: str | Path, classes: int | None = None, void: Sequence[int] = (0,)
) -> np.ndarray:
    """A label map whose classes are 1 .. `classes`, as 0 .. `classes` - 1 and 255 for void.

    Raises:
        SampleError: a value that is neither a class nor void.
    """
    empty = np.isin(label, void)
    shifted: np.ndarray = label.astype(np.float64 if label.dtype.kind == "f" else np.int64) - 1
    wrong = ~empty & ((shifted < 0) | (shifted >= (VOID if classes is None else classes)))
    if wrong.any():
        raise SampleError(
            f"{path}: expected label values 1 .. {classes or VOID} or {' or '.join(map(str, void))} (void), "
            f"found {label[wrong][0]} in {int(wrong.sum())} pixels"
        )
    shifted[empty] = VOID
    return shifted


def check_label(
    label: np.ndarray, path: str | Path, classes: int | None = None, void: int = VOID
) -> np.ndarray:
    """The label as uint8 with void as 255; SampleError for a value neither void nor in 0 .. classes - 1.

    With `classes` None (not known) only values above 255 are refused, and what is no whole number.
    """
    if label.dtype.kind == "f" and not (np.isfinite(label).all() and (label == np.rint(label)).all()):
        some = label[~np.isfinite(label) | (label != np.rint(label))]
        raise SampleError(f"{path}: expected whole numbers, found {some[0]} in {some.size} pixels")
    limit = VOID + 1 if classes is None else classes
    empty = label == void
    known = ((label >= 0) & (label < limit)) | empty
    if not known.all():
        found = label[~known]
        wrong = [int(value) for value in np.unique(found)]
        some = ", ".join(map(str, wrong[:8])) + (" ..." if len(wrong) > 8 else "")
        raise SampleError(
            f"{path}: expected label values 0 .. {limit - 1} or {void} (void), found {some} "
            f"in {found.size} pixels"
        )
    checked: np.ndarray = label.astype(np.uint8)
    checked[empty] = VOID
    return checked


def check_sizes(image: np.ndarray, label: np.ndarray, image_path: str | Path, label_path: str | Path) -> None:
    """SampleError where image and label differ in height or width."""
    if image.shape[:2] != label.shape[:2]:
        turned = image.shape[:2] == label.shape[1::-1]
        hint = "; one of them lies on its side: is the image rotated by its EXIF tag?" if turned else ""
        raise SampleError(
            f"{label_path}: expected a label of {image.shape[:2]} (H, W) as its image "
            f"{image_path}, found {label.shape}{hint}"
        )


def to_blob(image: np.ndarray, mean: Sequence[float] | np.ndarray) -> np.ndarray:
    """What a net reads: float32 3 x H x W, BGR, 0 .. 255, mean (BGR) subtracted; from RGB, H x W x 3."""
    return to_planes(image[..., ::-1], mean)


def to_planes(image: np.ndarray, mean: Sequence[float] | np.ndarray) -> np.ndarray:
    """float32 C x H x W, each channel of H x W x C less its mean."""
    data = np.empty((image.shape[2], *image.shape[:2]), np.float32)
    for channel, plane, value in zip(image.transpose(2, 0, 1), data, np.asarray(mean, np.float64)):
        np.subtract(channel, value, out=plane, dtype=np.float64, casting="same_kind")
    return data
