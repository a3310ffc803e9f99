"""A folder of images and label maps: the one place that knows how it is laid out.

`VocFolder` is the layout of PASCAL VOC and of everybody's own data, `SbdFolder` that of the Semantic
Boundaries Dataset. A folder is opened once and handed down; a `Split` is one of its lists of images, read
once. Imports no caffe.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from .facts import MEAN_BGR, VOC_CLASSES, VOID
from .files import IMAGE_SUFFIXES, LABEL_SUFFIXES, MAT_SUFFIXES, Files
from .inputs import Color, Input
from .reading import (
    SampleError,
    check_label,
    check_sizes,
    read_classes,
    read_label,
    read_size,
    read_split,
)

#: What a list holds, where it may be missing.
_LISTS = {"trainval": "one ID a line; or train.txt and val.txt beside it"}


def _other(suffixes: Sequence[str]) -> str:
    """The suffixes besides the first, in words."""
    return f"or {', '.join(suffixes[1:])}" if suffixes[1:] else ""


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

    #: The data layer that reads such a folder, its module, and the key of its `param_str` for the folder.
    layer: ClassVar[str]
    module: ClassVar[str] = "voc_layers"
    key: ClassVar[str]
    #: Where images, labels and lists lie under the root.
    images: ClassVar[str]
    labels: ClassVar[str]
    lists: ClassVar[str]
    label_suffixes: ClassVar[tuple[str, ...]]
    label_help: ClassVar[str]
    #: Classes that are known to be in no image to score on: where they are not, they have no part in a mean.
    unseen: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def of(cls, params: Mapping[str, Any], classes: tuple[str, ...]) -> Folder:
        """The folder that the `param_str` of a data layer names."""
        own = {"mean": tuple(params["mean"])} if "mean" in params else {}
        return cls(Path(params[cls.key]), classes, void=int(params.get("void", VOID)), **own)

    @property
    def inputs(self) -> tuple[Input, ...]:
        """What a net looks at, in the order of its inputs."""
        return (Color("image", tuple(self.mean)),)

    @property
    def unseen_numbers(self) -> tuple[int, ...]:
        """The label values of `unseen`."""
        return tuple(k for k, name in enumerate(self.classes) if name in self.unseen)

    def companions(self, image: Path) -> tuple[Path, ...]:
        """The files of all inputs, where that of the first lies in no data set: those beside it."""
        return (image,)

    def labeled(self, name: str) -> Folder:
        """The same images with the labels that a net with several labelings calls `name`."""
        return self

    def list_file(self, split: str) -> Path:
        """The file with the image ids of a split."""
        return self.root / self.lists / f"{split}.txt"

    def has_list(self, split: str) -> bool:
        """Whether there is a list of this split; 'trainval' may be the lists 'train' and 'val'."""
        parts = ("train", "val") if split == "trainval" else ()
        return self.list_file(split).is_file() or (bool(parts) and all(map(self.has_list, parts)))

    def ids(self, split: str) -> list[str]:
        """The image ids of a split, in order; SampleError says which splits there are."""
        path = self.list_file(split)
        if not path.is_file():
            if self.has_list(split):
                return [*self.ids("train"), *self.ids("val")]
            there = ", ".join(sorted(p.stem for p in path.parent.glob("*.txt"))) or "none"
            raise SampleError(f"{path}: expected one image id a line, found nothing; splits there: {there}")
        return read_split(path)

    @property
    def default_split(self) -> str:
        """What to score on: seg11valid if the folder has it, else val."""
        return "seg11valid" if self.list_file("seg11valid").is_file() else "val"

    def split(self, name: str) -> Split:
        """A split with its list read; without ids where there is no such list, see `Split.missing`."""
        return Split(self, name, tuple(self.ids(name)) if self.has_list(name) else ())

    def label_path(self, name: str) -> Path:
        """The label map of an image; SampleError where there is none, or more than one."""
        return self._parts[-1].find(name)

    def image_path(self, name: str) -> Path:
        """The file of an image; SampleError where there is none, or more than one."""
        return self._parts[0].find(name)

    def image_paths(self, name: str) -> tuple[Path, ...]:
        """The files of all inputs; SampleError where one of them is missing."""
        return tuple(part.find(name) for part, _ in zip(self._parts, self.inputs))

    def image(self, name: str) -> np.ndarray:
        """What the first of the inputs reads; of a photograph uint8 H x W x 3, RGB."""
        return self.pictures(name)[0]

    def pictures(self, name: str) -> tuple[np.ndarray, ...]:
        """What the inputs read, of one size; SampleError where the sizes differ."""
        paths = self.image_paths(name)
        arrays = tuple(one.read(path) for one, path in zip(self.inputs, paths))
        for array, path in zip(arrays[1:], paths[1:]):
            check_sizes(arrays[0], array, paths[0], path)
        return arrays

    def arrays(self, name: str) -> tuple[np.ndarray, ...]:
        """What the tops of a data layer are made of, decoded: the inputs, then the label maps."""
        pictures, label = self.pictures(name), self.label(name)
        check_sizes(pictures[0], label, self.image_path(name), self.label_path(name))
        return (*pictures, label)

    def blobs(self, arrays: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
        """The tops, 1 x C x H x W, made of `arrays`."""
        count = len(self.inputs)
        inputs = (one.blob(array) for one, array in zip(self.inputs, arrays))
        return (*(blob[None] for blob in inputs), *(label[None, None] for label in arrays[count:]))

    def label(self, name: str) -> np.ndarray:
        """uint8 H x W, class indices, 255 = void; SampleError for a value that is no class."""
        return self._label(self.label_path(name))[0]

    def _label(self, path: Path) -> tuple[np.ndarray, tuple[int, ...]]:
        """A label map, checked, and its palette."""
        values, palette = self.read_label(path)
        return check_label(values, path, len(self.classes) or None, self.void), palette

    def read_label(self, path: Path) -> tuple[np.ndarray, tuple[int, ...]]:
        """A label map as its file has it, counted from 0, and its palette; see `read_indexed_png`."""
        return read_label(path)

    def pair(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Image and label; SampleError where their sizes differ."""
        image, label, _ = self.sample(name)
        return image, label

    def peek(self, name: str) -> tuple[np.ndarray, tuple[int, ...]]:
        """Label and its palette; of the image only the size is read. SampleError where the sizes differ."""
        label_path = self.label_path(name)
        label, palette = self._label(label_path)
        for path in self.image_paths(name):
            check_sizes(np.empty(read_size(path)), label, path, label_path)
        return label, palette

    def sample(self, name: str) -> tuple[np.ndarray, np.ndarray, tuple[int, ...]]:
        """Image, label, and the label's palette (R, G, B of each index) if its file has one."""
        path, label_path = self.image_path(name), self.label_path(name)
        image, (label, palette) = self.image(name), self._label(label_path)
        check_sizes(image, label, path, label_path)
        return image, label, palette

    def params(self, split: str, seed: int | None) -> dict[str, Any]:
        """The `param_str` of a data layer that reads a split of this folder: all it has to know."""
        checked = {"classes": len(self.classes), "void": self.void} if self.classes else {}
        return {self.key: str(self.root), "split": split, "mean": tuple(self.mean), "seed": seed, **checked}

    def parts(self) -> tuple[Files, ...]:
        """The files of each input, and those of the labels last, as they are now."""
        return Files(self.root / self.images, IMAGE_SUFFIXES), Files(
            self.root / self.labels, self.label_suffixes
        )

    @cached_property
    def _parts(self) -> tuple[Files, ...]:
        return self.parts()

    def layout(self, splits: Iterable[str]) -> str:
        """What the folder should hold, as a picture."""
        *inputs, labels = self.parts()
        rows = [
            *((part.expected("ID"), _other(part.suffixes)) for part in inputs),
            (labels.expected("ID"), self.label_help),
            *((self.list_file(split), _LISTS.get(split, "one ID a line")) for split in splits),
        ]
        return "\n".join([f"{self.root}/", *(f"  {self._below(path):<40} {what}" for path, what in rows)])

    def _below(self, path: Path) -> str:
        """A path as it is seen from the root."""
        return str(path.relative_to(self.root) if path.is_relative_to(self.root) else path)

    def require_layout(self) -> None:
        """SampleError with every folder of the layout that is not there."""
        folders = [*(part.folder for part in self.parts()), self.list_file("SPLIT").parent]
        missing = [f"  {folder}" for folder in folders if not folder.is_dir()]
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
