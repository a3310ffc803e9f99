"""The folder and the archive that PASCAL VOC's evaluation server takes (VOC 2012 devkit, section 5).

    results/VOC2012/Segmentation/comp6_test_cls/ID.png

Each is an indexed PNG with VOC's palette, of the size of its image; an index for each pixel, no void. comp5
is for nets that saw the challenge's own training data only, comp6 for all others: a net that starts from
weights for ImageNet, or that saw SBD's labels, is comp6's.
"""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from voc_layers.facts import VOC_CLASSES
from voc_layers.folder import Folder
from voc_layers.reading import SampleError, read_indexed_png, read_size

from ..outputs import replacing
from ..waiting import progress

COMPETITIONS = ("comp5", "comp6")
#: A message names so many images.
NAMED = 10


@dataclass(frozen=True)
class Submission:
    """Where a submission goes. out: the folder that results/ is made in; year: as in VOC2012."""

    out: Path
    split: str = "test"
    competition: str = "comp6"
    year: str = "VOC2012"

    @property
    def name(self) -> str:
        """What the devkit calls the results of this competition on this list."""
        return f"{self.competition}_{self.split}_cls"

    @property
    def inside(self) -> Path:
        """The folder of the pictures in the archive."""
        return Path("results", self.year, "Segmentation", self.name)

    @property
    def folder(self) -> Path:
        """The folder of the pictures on this computer."""
        return self.out / self.inside

    @property
    def archive(self) -> Path:
        """What is uploaded."""
        return self.out / f"{self.name}.tar.gz"

    def picture(self, name: str) -> Path:
        """The prediction of an image."""
        return self.folder / f"{name}.png"

    def check(self, images: Folder, names: Sequence[str]) -> None:
        """See that there is a picture of each image, of its size and with VOC's classes, and nothing else.

        Raises:
            SampleError: says which are missing, too many, or wrong.
        """
        there = {path.stem for path in self.folder.glob("[!.]*")} if self.folder.is_dir() else set()
        for what, wrong in (
            ("no prediction of", sorted(set(names) - there)),
            (f"beside the images of {self.split}, remove", sorted(there - set(names))),
        ):
            if wrong:
                more = f" and {len(wrong) - NAMED} more" if wrong[NAMED:] else ""
                raise SampleError(f"{self.folder}: {what} {', '.join(wrong[:NAMED])}{more}")
        for name in progress(names, "checking"):
            self._check(self.picture(name), images.image_path(name))

    @staticmethod
    def _check(path: Path, image: Path) -> None:
        label, palette = read_indexed_png(path)
        size = read_size(image)
        if label.shape != size:
            raise SampleError(f"{path}: expected {size} pixels (H, W) as in {image}, found {label.shape}")
        if not palette:
            raise SampleError(f"{path}: expected an indexed PNG, found one without a palette")
        if label.max() >= len(VOC_CLASSES):
            raise SampleError(f"{path}: expected 0 to {len(VOC_CLASSES) - 1}, found {label.max()}")

    def pack(self, names: Sequence[str]) -> Path:
        """Write the archive; the same pictures give the same bytes."""
        with (
            replacing(self.archive) as temporary,
            temporary.open("wb") as file,
            gzip.GzipFile("", "wb", fileobj=file, mtime=0) as zipped,
            tarfile.open(fileobj=zipped, mode="w", format=tarfile.USTAR_FORMAT) as tar,
        ):
            for name in progress(names, "packing"):
                _add(tar, str(self.inside / f"{name}.png"), self.picture(name).read_bytes())
        return self.archive


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))
