"""PASCAL-Context: the images of VOC 2010 with whole scenes labelled (Mottaghi et al., CVPR 2014).

Its annotations name 459 things; the task has the 59 commonest, and background for all others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..facts import CONTEXT_CLASSES, CONTEXT_MEAN, VOID
from ..files import IMAGE_SUFFIXES, MAT_SUFFIXES, Files
from ..folder import Folder
from ..reading import SampleError, read_label_mat, read_lines

#: Class of the task -> its name among the annotations, where that is another.
ALIASES = {"diningtable": "table", "bedcloth": "bedclothes", "clothes": "cloth"}


@dataclass(frozen=True)
class ContextFolder(Folder):
    """VOC 2010, or the folder that it is in, and a folder of annotations with its two lists of names."""

    classes: tuple[str, ...] = CONTEXT_CLASSES
    mean: tuple[float, ...] = CONTEXT_MEAN
    annotations: Path = Path("data/pascal-context")

    layer, module, key = "PASCALContextSegDataLayer", "pascalcontext_layers", "voc_dir"
    images, labels, lists = "JPEGImages", "trainval", "ImageSets/Main"
    label_suffixes, label_help = MAT_SUFFIXES, "LabelMap: numbers of labels.txt"

    @classmethod
    def of(cls, params: Mapping[str, Any], classes: tuple[str, ...]) -> ContextFolder:
        void, annotations = int(params.get("void", VOID)), Path(params["context_dir"])
        return cls(Path(params[cls.key]), classes, void=void, annotations=annotations)

    @property
    def voc(self) -> Path:
        """The folder of VOC 2010 itself."""
        inner = self.root / "VOC2010"
        return inner if inner.is_dir() or not (self.root / self.images).is_dir() else self.root

    def list_file(self, split: str) -> Path:
        return self.voc / self.lists / f"{split}.txt"

    @property
    def default_split(self) -> str:
        return "val"

    def parts(self) -> tuple[Files, ...]:
        images = Files(self.voc / self.images, IMAGE_SUFFIXES)
        return images, Files(self.annotations / self.labels, self.label_suffixes)

    def layout(self, splits: Iterable[str]) -> str:
        names = (("labels.txt", "all names, as 'number: name'"), ("59_labels.txt", "those of the task"))
        lists = "\n".join(f"  {self.annotations / name!s:<40} {what}" for name, what in names)
        return f"{super().layout(splits)}\n{lists}"

    @cached_property
    def task(self) -> np.ndarray:
        """number of an annotation -> class of the task, 0 = background; by the lists beside them.

        Raises:
            SampleError: a list is missing, or names a class that no annotation has.
        """
        known = _names(self.annotations / "labels.txt")
        listed = self.annotations / "59_labels.txt"
        task = np.zeros(max(known.values()) + 1, np.uint8)
        for name, number in _names(listed).items():
            number_in_task = 0 if name == "background" else number
            own = ALIASES.get(name, name)
            if number_in_task and own not in known:
                raise SampleError(f"{listed}: '{name}' is none of the names in labels.txt beside it")
            task[known.get(own, 0)] = number_in_task
        return task

    def read_label(self, path: Path) -> tuple[np.ndarray, tuple[int, ...]]:
        label = read_label_mat(path, "LabelMap", None)
        wrong = (label < 0) | (label >= len(self.task)) | (label != np.rint(label))
        if wrong.any():
            raise SampleError(
                f"{path}: expected numbers of labels.txt, 0 .. {len(self.task) - 1}, found {label[wrong][0]} "
                f"in {int(wrong.sum())} pixels"
            )
        return self.task[label.astype(np.intp)], ()

    def params(self, split: str, seed: int | None) -> dict[str, Any]:
        own = super().params(split, seed)
        del own["mean"]  # the layer knows it
        return {**own, "context_dir": str(self.annotations)}


def _names(path: Path) -> dict[str, int]:
    """name, without its spaces -> number, of a list of lines `number: name`."""
    found: dict[str, int] = {}
    for line in read_lines(path):
        number, colon, name = line.partition(":")
        if not colon or not number.strip().isdigit():
            raise SampleError(f"{path}: expected lines 'number: name', found {line!r}")
        found[name.replace(" ", "")] = int(number)
    return found
