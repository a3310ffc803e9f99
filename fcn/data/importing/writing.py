"""One pair of image and label, written in VOC layout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from vis import make_palette
from voc_layers.facts import VOID
from voc_layers.folder import VocFolder
from voc_layers.reading import SampleError

from .coding import Coding
from .pictures import Picture
from .report import LABELLED, LEFT_OUT, RENAMED, Record, shown
from .sample import Raster, Sample

_PALETTE = make_palette(VOID + 1).ravel().tolist()


@dataclass(frozen=True)
class Written:
    """A pair that was written. files: image and label, below the folder; pixels: of each label value."""

    id: str
    sample: Sample
    records: tuple[Record, ...]
    files: tuple[str, str]
    pixels: np.ndarray


@dataclass(frozen=True)
class Writer:
    """Writes pairs into a folder. root: of the source, that reports are relative to; exif: see `Options`."""

    root: Path
    folder: Path
    coding: Coding
    exif: str | None

    def prepare(self) -> None:
        """Make the folders."""
        for part in (VocFolder.images, VocFolder.labels, VocFolder.lists):
            (self.folder / part).mkdir(parents=True)

    def write(self, sample: Sample, id_: str) -> Written | Record:
        """Write a pair, or say why it can't be."""
        try:
            return self._write(sample, id_)
        except SampleError as problem:
            return Record(str(sample.image.relative_to(self.root)), LEFT_OUT, str(problem))

    def _write(self, sample: Sample, id_: str) -> Written:
        picture = Picture.open(sample.image)
        raster = sample.label.read(picture.size)
        turned = self._is_turned(picture, raster, sample)
        if turned and raster.fitted:
            raster = sample.label.read(picture.turned_size)
        label = self.coding.encode(raster, sample.label.path)
        image_file, action, how = picture.save(self.folder / VocFolder.images / id_, turned)
        label_file = self.folder / VocFolder.labels / f"{id_}.png"
        drawn = Image.fromarray(label)
        drawn.putpalette(_PALETTE)
        drawn.save(label_file)
        image = sample.image.relative_to(self.root).as_posix()
        records = [
            Record(image, action, how),
            Record(sample.label.path.relative_to(self.root).as_posix(), LABELLED, raster.note),
        ]
        if id_ != sample.name.rpartition("/")[2]:
            records.append(Record(image, RENAMED, f"its id is {id_}"))
        files = (f"{VocFolder.images}/{image_file.name}", f"{VocFolder.labels}/{label_file.name}")
        return Written(id_, sample, tuple(records), files, np.bincount(label.ravel(), minlength=VOID + 1))

    def _is_turned(self, picture: Picture, raster: Raster, sample: Sample) -> bool:
        """Whether the image is to be turned by EXIF; SampleError where the label does not fit it."""
        turned = False
        if raster.fitted or raster.size in (picture.size, picture.turned_size):
            turned = picture.is_turned(None if raster.fitted else raster.size, self.exif)
        size = picture.turned_size if turned else picture.size
        if not raster.fitted and raster.size != size:
            said = f" with --exif {self.exif}" if self.exif and picture.orientation != 1 else ""
            raise SampleError(
                f"{sample.label.path}: expected a label of {size} (H, W) as its image {sample.image}{said}, "
                f"found {raster.size}"
            )
        return turned


def write_lists(folder: Path, splits: Mapping[str, Sequence[str]]) -> list[str]:
    """Write the ids of each split, a line each; gives the names of the files."""
    files = []
    for split, ids in splits.items():
        name = f"{VocFolder.lists}/{split}.txt"
        (folder / name).write_text("".join(f"{id_}\n" for id_ in ids), encoding="utf-8")
        files.append(name)
    return files


def write_classes(folder: Path, names: Sequence[str]) -> None:
    """Write classes.txt. SampleError for names that it can't hold."""
    for name in names:
        if name != " ".join(name.split()) or not name or name.startswith("#") or not name.isprintable():
            raise SampleError(
                f"expected names of classes in one line that do not start with '#', found {name!r}"
            )
    VocFolder(folder).class_file.write_text("".join(f"{shown(name)}\n" for name in names), encoding="utf-8")
    VocFolder.open(folder)
