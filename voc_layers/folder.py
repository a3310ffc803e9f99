"""A folder of images and label maps: the one place that knows how it is laid out.

`VocFolder` is the layout of PASCAL VOC and of everybody's own data, `SbdFolder` that of the Semantic
Boundaries Dataset. A folder is opened once and handed down; a `Split` is one of its lists of images, read
once. Imports no caffe.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from .facts import MEAN_BGR, VOC_CLASSES, VOID
from .files import IMAGE_SUFFIXES, LABEL_SUFFIXES, MAT_SUFFIXES, Files
from .reading import (
    SampleError,
    check_label,
    check_sizes,
    read_classes,
    read_image,
    read_label,
    read_size,
    read_split,
)


@dataclass(frozen=True)
class Folder:
    """Images and labels with the same names, and lists of those names.

    classes: names in the order of the label values; empty where they are not known, and labels are then not
    checked against them. mean: B, G, R of 0 to 255. void: what the label files call void.
    """

    root: Path
    classes: tuple[str, ...] = VOC_CLASSES
    mean: tuple[float, ...] = MEAN_BGR
    void: int = VOID

    #: The data layer that reads such a folder, and the key of its `param_str` that names the folder.
    layer: ClassVar[str]
    key: ClassVar[str]
    #: Where images, labels and lists lie under the root.
    images: ClassVar[str]
    labels: ClassVar[str]
    lists: ClassVar[str]
    label_suffixes: ClassVar[tuple[str, ...]]
    label_help: ClassVar[str]

    def list_file(self, split: str) -> Path:
        """The file with the image ids of a split."""
        return self.root / self.lists / f"{split}.txt"

    def ids(self, split: str) -> list[str]:
        """The image ids of a split, in order; SampleError says which splits there are."""
        path = self.list_file(split)
        if not path.is_file():
            there = ", ".join(sorted(p.stem for p in path.parent.glob("*.txt"))) or "none"
            raise SampleError(f"{path}: expected one image id a line, found nothing; splits there: {there}")
        return read_split(path)

    @property
    def default_split(self) -> str:
        """What to score on: seg11valid if the folder has it, else val."""
        return "seg11valid" if self.list_file("seg11valid").is_file() else "val"

    def split(self, name: str) -> Split:
        """A split with its list read; without ids where there is no such list, see `Split.missing`."""
        return Split(self, name, tuple(self.ids(name)) if self.list_file(name).is_file() else ())

    def label_path(self, name: str) -> Path:
        """The label map of an image; SampleError where there is none, or more than one."""
        return self._parts[1].find(name)

    def image_path(self, name: str) -> Path:
        """The file of an image; SampleError where there is none, or more than one."""
        return self._parts[0].find(name)

    def image(self, name: str) -> np.ndarray:
        """uint8 H x W x 3, RGB."""
        return read_image(self.image_path(name))

    def label(self, name: str) -> np.ndarray:
        """uint8 H x W, class indices, 255 = void; SampleError for a value that is no class."""
        path = self.label_path(name)
        return check_label(read_label(path)[0], path, len(self.classes) or None, self.void)

    def pair(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Image and label; SampleError where their sizes differ."""
        image, label, _ = self.sample(name)
        return image, label

    def peek(self, name: str) -> tuple[np.ndarray, tuple[int, ...]]:
        """Label and its palette; of the image only the size is read. SampleError where the sizes differ."""
        path, label_path = self.image_path(name), self.label_path(name)
        values, palette = read_label(label_path)
        label = check_label(values, label_path, len(self.classes) or None, self.void)
        check_sizes(np.empty(read_size(path)), label, path, label_path)
        return label, palette

    def sample(self, name: str) -> tuple[np.ndarray, np.ndarray, tuple[int, ...]]:
        """Image, label, and the label's palette (R, G, B of each index) if its file has one."""
        path, label_path = self.image_path(name), self.label_path(name)
        image, (values, palette) = read_image(path), read_label(label_path)
        label = check_label(values, label_path, len(self.classes) or None, self.void)
        check_sizes(image, label, path, label_path)
        return image, label, palette

    def params(self, split: str, seed: int | None) -> dict[str, Any]:
        """The `param_str` of a data layer that reads a split of this folder: all it has to know."""
        checked = {"classes": len(self.classes), "void": self.void} if self.classes else {}
        return {self.key: str(self.root), "split": split, "mean": tuple(self.mean), "seed": seed, **checked}

    def parts(self) -> tuple[Files, Files]:
        """The images and the labels, as they are now."""
        return Files(self.root / self.images, IMAGE_SUFFIXES), Files(
            self.root / self.labels, self.label_suffixes
        )

    @cached_property
    def _parts(self) -> tuple[Files, Files]:
        return self.parts()

    def layout(self, splits: Iterable[str]) -> str:
        """What the folder should hold, as a picture."""
        rows = [
            (f"{self.images}/ID{IMAGE_SUFFIXES[0]}", f"or {', '.join(IMAGE_SUFFIXES[1:])}"),
            (f"{self.labels}/ID{self.label_suffixes[0]}", self.label_help),
            *((str(Path(self.lists, f"{split}.txt")), "one ID a line") for split in splits),
        ]
        return "\n".join([f"{self.root}/", *(f"  {path:<40} {what}" for path, what in rows)])

    def require_layout(self) -> None:
        """SampleError with every folder of the layout that is not there."""
        parts = [self.root / self.images, self.root / self.labels, self.root / self.lists]
        missing = [f"  {part}" for part in parts if not part.is_dir()]
        if missing:
            text = [f"{self.root}: not in the layout of a data set; missing:", *missing, "expected:"]
            raise SampleError("\n".join([*text, self.layout(["SPLIT"])]))


class VocFolder(Folder):
    """PASCAL VOC's layout, with a classes.txt where the classes are not PASCAL VOC's."""

    layer, key = "VOCSegDataLayer", "voc_dir"
    images, labels, lists = "JPEGImages", "SegmentationClass", "ImageSets/Segmentation"
    label_suffixes, label_help = LABEL_SUFFIXES, "palette or grey: class index of each pixel, 255 = void"

    @property
    def class_file(self) -> Path:
        """Where the classes are named, if they are not PASCAL VOC's."""
        return self.root / "classes.txt"

    @classmethod
    def open(cls, root: str | Path, classes: int | None = None) -> VocFolder:
        """The folder with what its classes.txt says; PASCAL VOC's classes where there is none.

        Args:
            classes: how many there are, where there is no classes.txt: they are called by their numbers.

        Raises:
            SampleError: a classes.txt that cannot be understood, or that names another number of classes.
        """
        root = Path(root)
        folder = cls(root)
        if folder.class_file.is_file():
            listed = read_classes(folder.class_file)
            folder = cls(root, listed.names, listed.mean, listed.void)
            if classes not in (None, len(listed.names)):
                raise SampleError(
                    f"{folder.class_file}: names {len(listed.names)} classes, but {classes} are asked for"
                )
        elif classes not in (None, len(VOC_CLASSES)):
            folder = cls(root, tuple(map(str, range(classes))))
        return folder

    def layout(self, splits: Iterable[str]) -> str:
        own = f"  {'classes.txt':<40} one class a line, for data that are not PASCAL VOC"
        return f"{super().layout(splits)}\n{own}"


class SbdFolder(Folder):
    """The layout of the Semantic Boundaries Dataset, whose classes are PASCAL VOC's."""

    layer, key = "SBDDSegDataLayer", "sbdd_dir"
    images, labels, lists = "img", "cls", "."
    label_suffixes, label_help = MAT_SUFFIXES, "GTcls.Segmentation"

    @classmethod
    def open(cls, root: str | Path, like: Folder) -> SbdFolder:
        """The folder, or the `dataset` in it, with the classes and the mean of another folder."""
        inner = Path(root) / "dataset"
        return cls(inner if inner.is_dir() else Path(root), like.classes, like.mean)


@dataclass(frozen=True)
class Split:
    """One list of images of a folder. ids: in order; empty where the list is not there."""

    folder: Folder
    name: str
    ids: tuple[str, ...]

    @property
    def list_file(self) -> Path:
        return self.folder.list_file(self.name)

    def missing(self) -> list[str]:
        """A line for the list, or for each of its files, that is not there; many files count as one."""
        parts = self.folder.parts()
        if not self.ids:
            lines = [f"{self.list_file}   (a list of images)"]
            return lines + [f"{part.folder}   (a folder)" for part in parts if not part.folder.is_dir()]
        lines = []
        for part in parts:
            absent = [name for name in self.ids if not part.named(name)]
            lines += [f"{part.expected(name)}{part.instead(name)}" for name in absent[:3]]
            if len(absent) > 3:
                lines.append(
                    f"{part.folder}/...   ({len(absent)} of the {len(self.ids)} files of {self.name})"
                )
        return lines

    def fingerprint(self) -> dict[str, Any]:
        """The list, how many images, and a digest of their ids and file sizes. Opens no file."""
        digest = hashlib.sha256()
        for part in self.folder.parts():
            for name in self.ids:
                size = next((path.stat().st_size for path in part.named(name)), None)
                digest.update(f"{name} {size}\n".encode())
        return {"list": str(self.list_file), "images": len(self.ids), "digest": digest.hexdigest()[:16]}


_BY_LAYER: dict[str, type[Folder]] = {folder.layer: folder for folder in (VocFolder, SbdFolder)}


def split_of(layer: str, params: Mapping[str, Any], classes: tuple[str, ...]) -> Split | None:
    """The split that a data layer of this type and `param_str` reads; None for another type of layer."""
    if layer not in _BY_LAYER:
        return None
    kind = _BY_LAYER[layer]
    void = int(params.get("void", VOID))
    return kind(Path(params[kind.key]), classes, tuple(params["mean"]), void).split(str(params["split"]))
