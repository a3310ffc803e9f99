"""Images: kept byte for byte where every reader takes them, else converted; turned where labels are."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps

from voc_layers.reading import SampleError, open_image

from .report import CONVERTED, KEPT, TURNED

#: Of JPEGs that are written anew.
QUALITY = 95
_ORIENTATION = 0x0112  # EXIF's tag
#: Formats that are kept, and their suffixes.
_KEPT = {"JPEG": ".jpg", "MPO": ".jpg", "PNG": ".png"}


@dataclass(frozen=True)
class Picture:
    """An image of the source, decoded. orientation: EXIF's, 1 to 8; 1 = as it is stored."""

    path: Path
    image: Image.Image
    depth: int
    orientation: int

    @classmethod
    def open(cls, path: Path) -> Picture:
        """Decode an image. SampleError where it is damaged, or has no one meaning in RGB of 8 bits."""
        image, depth = open_image(path)
        if depth > 8 or image.mode.startswith(("I", "F")):
            raise SampleError(
                f"{path}: expected an image of 8 bits a channel, found mode {image.mode} of {depth}; convert "
                "it, for which its range of brightness has to be known"
            )
        return cls(path, image, depth, _orientation(image))

    @property
    def size(self) -> tuple[int, int]:
        """Height and width as stored."""
        return self.image.height, self.image.width

    @property
    def turned_size(self) -> tuple[int, int]:
        """Height and width as EXIF turns it."""
        return self.size[::-1] if self.orientation >= 5 else self.size

    def is_turned(self, label: tuple[int, int] | None, exif: str | None) -> bool:
        """Whether a label of this height and width was drawn on the image as EXIF turns it.

        Args:
            label: None where it has no size of its own.
            exif: `apply` or `ignore`, where whoever imports says; else None.

        Raises:
            SampleError: that can't be told.
        """
        if self.orientation == 1:
            return False
        if exif is not None:
            return exif == "apply"
        if self.turned_size == self.size or label is None:
            raise SampleError(
                f"{self.path}: its EXIF orientation is {self.orientation}; say whether its label is drawn on "
                "it as it is stored (--exif ignore) or as it is shown (--exif apply)"
            )
        return label == self.turned_size

    def save(self, stem: Path, turned: bool) -> tuple[Path, str, str]:
        """Write the image to `stem` with a suffix; gives the file, the action and a note for the report."""
        suffix = _KEPT.get(self.image.format or "")
        if suffix and not turned and not _needs_converting(self.image):
            out = Path(f"{stem}{suffix}")
            shutil.copyfile(self.path, out)
            return out, KEPT, ""
        image, what = _as_rgb(self.image)
        if turned:
            image = ImageOps.exif_transpose(image)
            out = Path(f"{stem}{suffix or '.png'}")
            image.save(out, quality=QUALITY, subsampling=0, exif=b"")
            how = f" and saved as JPEG {QUALITY}" if suffix == ".jpg" else ""
            return out, TURNED, f"by its EXIF orientation{how}{what}"
        out = Path(f"{stem}.png")
        image.save(out)
        return out, CONVERTED, f"{self.image.format} to PNG, without loss{what}"


def _orientation(image: Image.Image) -> int:
    try:
        found = image.getexif().get(_ORIENTATION, 1)
    except (OSError, SyntaxError, ValueError, KeyError, TypeError):
        return 1  # damaged EXIF: nobody else can turn the image by it either
    return found if isinstance(found, int) and 2 <= found <= 8 else 1


def _needs_converting(image: Image.Image) -> bool:
    """Whether `voc_layers.reading.read_image` refuses it."""
    if image.mode in ("RGBA", "LA"):
        return image.getchannel("A").getextrema() != (255, 255)
    return image.mode not in ("RGB", "L", "P", "1")


def _as_rgb(image: Image.Image) -> tuple[Image.Image, str]:
    """The image in RGB or grey, and what that took, as the end of a note."""
    if image.mode in ("RGB", "L", "P", "1"):
        return image, ""
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa"):
        whole = image.convert("RGBA")
        if whole.getchannel("A").getextrema() == (255, 255):
            return whole.convert("RGB"), ""
        black = Image.new("RGBA", whole.size, (0, 0, 0, 255))
        black.alpha_composite(whole)
        plain, note = black.convert("RGB"), ", transparent parts on black"
    else:
        plain, note = image.convert("RGB"), f", {image.mode} to RGB"
    plain.info = dict(image.info)
    return plain, note
