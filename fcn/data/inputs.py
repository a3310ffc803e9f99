"""What a stage reads: a split to train on and one to score on, and what of them is missing."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nets
from voc_layers.folder import SbdFolder, Split, VocFolder
from voc_layers.reading import SampleError, read_size

from ..job import Job
from .check import Check, check_split
from .sets import SETS, DataSet, Folders, dataset_of, folder_of

log = logging.getLogger("fcn")

OWN_HELP = "what of it is there, and what is wrong with it: fcn data check {root}"


class MissingInputs(FileNotFoundError):
    """Files that a run needs and that are not there: one message for all of them."""


@dataclass(frozen=True)
class TrainingData:
    """A split to train on and one to score on, of one folder or of two. Both lists have been read."""

    train: Split
    val: Split

    @classmethod
    def own(cls, root: str | Path, val_split: str = "val", classes: int | None = None) -> TrainingData:
        """One's own images in VOC layout, trained on their 'train' list. classes: see `VocFolder.open`."""
        folder = VocFolder.open(root, classes)
        return cls(folder.split("train"), folder.split(val_split))

    @classmethod
    def pascal(
        cls,
        voc_dir: str | Path,
        sbd_dir: str | Path,
        val_split: str = "seg11valid",
        classes: int | None = None,
    ) -> TrainingData:
        """PASCAL VOC with SBD's training labels; `sbd_dir` may be the folder above SBD's `dataset`."""
        voc = VocFolder.open(voc_dir, classes)
        return cls(SbdFolder.open(sbd_dir, like=voc).split("train"), voc.split(val_split))

    @classmethod
    def published(cls, model: str, given: Folders, val_split: str | None = None) -> TrainingData:
        """The data set that a model was published with, but for PASCAL VOC, which is two.

        given: folders that lie elsewhere than by default.
        """
        folder, splits = folder_of(model, given), dataset_of(model).splits
        return cls(folder.split(splits[0]), folder.split(val_split or splits[1]))

    @classmethod
    def of(cls, job: Job) -> TrainingData | None:
        """The data that a job was made for; None where they are not images with label maps."""
        train, val = job.split("train"), job.split("val")
        return cls(train, val) if train and val else None

    @property
    def classes(self) -> tuple[str, ...]:
        """Names in the order of the label values."""
        return self.val.folder.classes

    def layers(
        self, seed: int | None, reading: Mapping[str, Any] | None = None
    ) -> dict[str, nets.PythonData]:
        """The data layers of the 'train' and the 'val' net.

        Args:
            reading: how that of 'train' reads: what `voc_layers.base.SegDataLayer` takes beside the folder,
                `cache`, `scale`, `crop`, `mirror`, `batch`.
        """
        train, val = (nets.PythonData.reading(s.folder, s.name, seed) for s in (self.train, self.val))
        return {"train": replace(train, params={**train.params, **(reading or {})}), "val": val}

    def pixels(self, most: int = 100) -> float | None:
        """Of an image to train on, as the mean of `most` spread over the list; None if none can be read."""
        folder, ids = self.train.folder, self.train.ids
        found = []
        for name in ids[:: max(1, len(ids) // most)]:
            try:
                found.append(math.prod(read_size(folder.image_path(name))))
            except SampleError:
                continue  # `check` says what is wrong with it
        return sum(found) / len(found) if found else None

    def used(self, scored: bool) -> list[Split]:
        """The splits that a stage reads; `scored`: whether it is scored while it is trained."""
        return [self.train, self.val] if scored else [self.train]

    def layout(self) -> str:
        """The folders and files expected, as a picture."""
        splits = [self.train, self.val]
        roots = {split.folder.root: split.folder for split in reversed(splits)}
        named = {root: [s.name for s in splits if s.folder.root == root] for root in roots}
        return "\n".join(folder.layout(named[root]) for root, folder in roots.items())

    def shared(self) -> list[str]:
        """The ids in both lists: scoring on them measures images that were trained on."""
        return sorted(set(self.train.ids) & set(self.val.ids))

    def check(self, scored: bool) -> list[Check]:
        """Read all labels and one's own images, and warn of labels that are odd.

        Of the images of published data sets only the sizes are read: they have been in use for years, while
        labels are files that people make, convert and copy.

        Returns:
            what was found in the split to train on, and in the one to score on where it is.

        Raises:
            SampleError: files that are not what they should be, and labels that nothing can be learned from.
        """
        published = not isinstance(self.train.folder, VocFolder)
        checks = [check_split(split, decode=not published) for split in self.used(scored)]
        problems = [problem for check in checks for problem in check.problems]
        if problems:
            root = self.train.folder.root
            how = "" if published else f": fcn data check {root}"
            more = [f"... {len(problems)} in all{how}"] if problems[5:] else []
            raise SampleError("\n  ".join([*problems[:5], *more]))
        for check in checks:
            for warning in check.warnings:
                log.warning("%s: %s", check.split, warning)
        return checks


def require(data: TrainingData, scored: bool, weights_missing: Sequence[str]) -> None:
    """Raise MissingInputs with every missing file, the layout expected and how to get or make it.

    `weights_missing` are lines about weight files, each with the command that makes the file.
    """
    files = list(dict.fromkeys(line for split in data.used(scored) for line in split.missing()))
    if not files and not weights_missing:
        return
    parts = ["missing input:", *(f"  {line}" for line in [*files, *weights_missing])]
    if files:
        parts += ["the layout expected:", *(f"  {line}" for line in data.layout().splitlines()), _help(data)]
    raise MissingInputs("\n".join(parts))


def _help(data: TrainingData) -> str:
    """How to get what is missing."""
    folder = data.train.folder
    if isinstance(folder, VocFolder):
        return OWN_HELP.format(root=folder.root)
    known: dict[str, DataSet] = {"voc_layers": SETS["voc"]}
    known |= {f"{name}_layers": one for name, one in SETS.items()}
    return known[folder.module].help
