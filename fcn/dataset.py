"""A data set in VOC layout: its classes, splits and files, and a check of all of them.

    ROOT/JPEGImages/ID.jpg                    ROOT/SegmentationClass/ID.png
    ROOT/ImageSets/Segmentation/SPLIT.txt     ROOT/classes.txt

Without classes.txt the 21 classes of PASCAL VOC are meant. The check as a command:

    python -m fcn.dataset DIR [--split val]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from voc_layers.reading import (
    VOC_MEAN,
    VOID,
    DataError,
    check_label,
    check_sizes,
    find_image,
    read_classes,
    read_image,
    read_label,
    read_split,
)

VOC_CLASSES = (
    "background",
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)
SPLITS = Path("ImageSets/Segmentation")
LAYOUT = """\
  JPEGImages/ID.jpg                    or .png
  SegmentationClass/ID.png             palette or grey: class index per pixel, 255 = void
  ImageSets/Segmentation/SPLIT.txt     one ID a line
  classes.txt                          one class a line, for data that is not PASCAL VOC"""


@dataclass(frozen=True)
class Dataset:
    """A folder in VOC layout. mean: BGR; void: the label files' value for void."""

    root: Path
    classes: tuple[str, ...] = VOC_CLASSES
    mean: tuple[float, ...] = VOC_MEAN
    void: int = VOID

    def ids(self, split: str) -> list[str]:
        """The image ids of a split; DataError says which splits there are."""
        if not (self.root / SPLITS / f"{split}.txt").is_file():
            there = ", ".join(sorted(p.stem for p in (self.root / SPLITS).glob("*.txt"))) or "none"
            raise DataError(f"{self.root / SPLITS}: expected {split}.txt, found these splits: {there}")
        return read_split(self.root / SPLITS / f"{split}.txt")

    def default_split(self) -> str:
        """What to score on: seg11valid if the folder has it, else val."""
        return "seg11valid" if (self.root / SPLITS / "seg11valid.txt").is_file() else "val"

    def label_path(self, name: str) -> Path:
        return self.root / "SegmentationClass" / f"{name}.png"

    def image(self, name: str) -> np.ndarray:
        """uint8 H x W x 3, RGB."""
        return read_image(find_image(self.root / "JPEGImages", name))

    def label(self, name: str) -> np.ndarray:
        """uint8 H x W, class indices, 255 = void."""
        path = self.label_path(name)
        return check_label(read_label(path), path, len(self.classes), self.void)


def open_dataset(root: str | Path) -> Dataset:
    """The folder with its classes; DataError lists every missing part of the layout."""
    root = Path(root)
    parts = [root / "JPEGImages", root / "SegmentationClass", root / SPLITS]
    missing = [str(p) for p in parts if not p.is_dir()]
    if missing:
        raise DataError(
            "\n".join(
                [
                    f"{root}: not in VOC layout; missing:",
                    *(f"  {m}" for m in missing),
                    "expected in it:",
                    LAYOUT,
                ]
            )
        )
    if not (root / "classes.txt").is_file():
        return Dataset(root)
    listed = read_classes(root / "classes.txt")
    return Dataset(root, listed.names, listed.mean, listed.void)


@dataclass
class Check:
    """What a check of one split found. pixels: per class, and void last."""

    split: str
    images: int
    pixels: np.ndarray
    problems: list[str] = field(default_factory=list)

    def text(self, classes: tuple[str, ...]) -> str:
        total = max(int(self.pixels.sum()), 1)
        rows = [
            f"  {name:<16} {count:>12} {100 * count / total:6.2f} %"
            for name, count in zip((*classes, "void"), self.pixels.tolist())
        ]
        found = "no problems" if not self.problems else f"{len(self.problems)} problems"
        title = f"{self.split}: {self.images} images, {found}"
        return "\n".join([title, *(f"  {p}" for p in self.problems), *rows])


def check_split(data: Dataset, split: str) -> Check:
    """Read every pair of a split: missing files, sizes that differ, label values that are no class."""
    names = data.ids(split)
    check = Check(split, len(names), np.zeros(len(data.classes) + 1, np.int64))
    for name in names:
        try:
            image, label = data.image(name), data.label(name)
            check_sizes(image, label, data.root / "JPEGImages" / name, data.label_path(name))
        except DataError as problem:
            check.problems.append(str(problem))
        else:
            counts = np.bincount(label.ravel(), minlength=VOID + 1)
            check.pixels += np.append(counts[: len(data.classes)], counts[VOID])
    return check


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m fcn.dataset", description="read and check a data set")
    parser.add_argument("folder", type=Path, help="in VOC layout")
    parser.add_argument("--split", action="append", help="default: train and val")
    args = parser.parse_args(argv)
    try:
        data = open_dataset(args.folder)
        checks = [check_split(data, split) for split in args.split or ("train", "val")]
    except DataError as error:
        parser.error(str(error))
    print("\n\n".join(check.text(data.classes) for check in checks))
    return int(any(check.problems for check in checks))


if __name__ == "__main__":
    raise SystemExit(main())
