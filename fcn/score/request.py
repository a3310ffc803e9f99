"""What is asked to be scored, and folders that hold nothing but label maps."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from voc_layers.facts import VOC_CLASSES
from voc_layers.files import LABEL_SUFFIXES, Files
from voc_layers.reading import ClassList, SampleError, check_label, read_classes, read_label_png


@dataclass(frozen=True)
class ScoreRequest:
    """What to score. All but the target may be left out where a run knows it.

    Attributes:
        target: a run's folder, a file of weights, or a folder of predictions ID.png.
        data: the folder to score against, in VOC layout or that of the model's data set; a run's own by
            default.
        annotations: PASCAL-Context's, which lie in a folder of their own.
        split: of that folder: by default the one that the run was scored on, else seg11valid or val.
        labels: a plain folder of label maps ID.png to score predictions against, instead of `data`.
        class_file: the names of its classes, one a line; PASCAL VOC's by default.
        limit: score the first images only.
        trained_on: SBD's folder, to warn of images that were trained on; the run's list by default.
        net, model: which net weights without a run are for: a deploy prototxt, or an id.
        save: where predictions are written, as palette PNGs.
        trimap: widths, in pixels, of the bands along boundaries that are scored besides.
    """

    target: Path
    data: Path | None = None
    annotations: Path | None = None
    split: str | None = None
    labels: Path | None = None
    class_file: Path | None = None
    limit: int | None = None
    trained_on: Path | None = None
    net: Path | None = None
    model: str | None = None
    save: Path | None = None
    trimap: tuple[int, ...] = ()


@dataclass(frozen=True)
class LabelFolder:
    """A folder with label maps, named by their ids, and nothing else."""

    root: Path
    classes: tuple[str, ...]
    void: int

    @cached_property
    def _files(self) -> Files:
        return Files(self.root, LABEL_SUFFIXES)

    @classmethod
    def open(cls, root: Path, class_file: Path | None) -> LabelFolder:
        """The folder, with the classes that a file names or PASCAL VOC's."""
        listed = read_classes(class_file) if class_file else ClassList(VOC_CLASSES)
        return cls(root, listed.names, listed.void)

    def names(self) -> list[str]:
        """The label maps that are there; SampleError where there are none."""
        found = self._files.stems()
        if not found:
            raise SampleError(f"{self.root}: expected label maps ({', '.join(LABEL_SUFFIXES)}), found none")
        return found

    def label_path(self, name: str) -> Path:
        """The label map of an id; SampleError where there is none, or more than one."""
        return self._files.find(name)

    def label(self, name: str) -> np.ndarray:
        """uint8 H x W, class indices, 255 = void."""
        path = self.label_path(name)
        return check_label(read_label_png(path), path, len(self.classes), self.void)
