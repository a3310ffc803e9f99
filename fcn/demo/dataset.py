"""The drawn data set as files: scenes in VOC layout, single objects with the classifier's lists.

Processes share the drawing, since an image follows from its number alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from vis import make_palette
from voc_layers.reading import SampleError, read_classes

from ..outputs import making, replace_text
from ..sharding import sharded
from .scenes import CLASSES, VERSION, classification_image, segmentation_scene

#: Images of a part.
PART = 50


class Part(NamedTuple):
    """Some images, `first` to `last`, of a split, or of the single objects ("class")."""

    split: str
    first: int
    last: int

    def __str__(self) -> str:
        return f"{self.split} images {self.first} to {self.last}"


def make_dataset(
    out_dir: str | Path,
    seed: int = 0,
    n_train: int = 480,
    n_val: int = 120,
    n_class_images: int = 4000,
    jobs: int = 1,
) -> Path:
    """Draw the data set into `out_dir` (made if missing) and return it.

    JPEGImages, SegmentationClass (palette PNG, void 255) and ImageSets/Segmentation as in VOC, classes.txt,
    and Classification with its lists. A folder that already holds the same drawing is left as it is.

    Args:
        jobs: processes that draw; the files do not depend on it.

    Raises:
        SampleError: the folder holds another data set.
        fcn.sharding.ShardError: one of several processes failed or died.
    """
    root = Path(out_dir)
    made_from = json.dumps({"version": VERSION, "seed": seed, "counts": [n_train, n_val, n_class_images]})
    stamp = root / "drawn.json"
    if stamp.exists() and stamp.read_text() == made_from:
        return root
    _refuse_to_replace(root)
    root.mkdir(parents=True, exist_ok=True)
    with making(root / "drawing") as made:
        _draw(made, seed, {"train": n_train, "val": n_val, "class": n_class_images}, jobs)
        stamp.unlink(missing_ok=True)
        _move(made, root)
    replace_text(stamp, made_from)
    return root


def _draw(root: Path, seed: int, counts: Mapping[str, int], jobs: int) -> None:
    """All of a drawing but for its stamp, in a new folder."""
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation", "Classification"):
        (root / folder).mkdir(parents=True)
    (root / "classes.txt").write_text("".join(f"{name}\n" for name in CLASSES))
    parts = [
        Part(split, first, min(first + PART, count) - 1)
        for split, count in counts.items()
        for first in range(0, count, PART)
    ]
    for _ in sharded(partial(_pen, root, seed), parts, jobs):
        pass
    for split in ("train", "val"):
        names = "".join(f"{_name(split, number)}\n" for number in range(counts[split]))
        (root / "ImageSets/Segmentation" / f"{split}.txt").write_text(names)
    _list_objects(root, counts["class"])


def _move(made: Path, root: Path) -> None:
    """Put each file into the place of the one that was drawn there before."""
    for file in [path for path in made.rglob("*") if path.is_file()]:
        place = root / file.relative_to(made)
        place.parent.mkdir(parents=True, exist_ok=True)
        file.replace(place)


def _refuse_to_replace(root: Path) -> None:
    """Raise SampleError where the folder holds images that were not drawn here."""
    file = root / "classes.txt"
    if (root / "JPEGImages").is_dir() and not (file.is_file() and read_classes(file).names == CLASSES):
        raise SampleError(f"{root}: holds images of another data set already; draw into another folder")


@contextmanager
def _pen(root: Path, seed: int) -> Iterator[Callable[[Part], None]]:
    """What draws the images of a part."""

    def work(part: Part) -> None:
        for number in range(part.first, part.last + 1):
            if part.split == "class":
                _write_object(root, seed, number)
            else:
                _write_scene(root, seed, part.split, number)

    yield work


def _write_scene(root: Path, seed: int, split: str, number: int) -> None:
    drawn, name = segmentation_scene(seed, split, number), _name(split, number)
    Image.fromarray(drawn.image).save(root / "JPEGImages" / f"{name}.jpg", quality=95)
    label = Image.fromarray(drawn.label)
    label.putpalette(make_palette(256).ravel().tolist())
    label.save(root / "SegmentationClass" / f"{name}.png")


def _write_object(root: Path, seed: int, number: int) -> None:
    image, _ = classification_image(seed, number)
    Image.fromarray(image).save(root / _object(number), quality=95)


def _list_objects(root: Path, count: int) -> None:
    """One image in eight is held out: Classification/{train,val}.txt, lines "Classification/000012.jpg 3"."""
    lists: dict[str, list[str]] = {"train": [], "val": []}
    for number in range(count):
        turn, label = divmod(number, len(CLASSES))
        lists["val" if turn % 8 == 7 else "train"].append(f"{_object(number)} {label}\n")
    for split, lines in lists.items():
        (root / f"Classification/{split}.txt").write_text("".join(lines))


def _name(split: str, number: int) -> str:
    return f"{split}_{number:04d}"


def _object(number: int) -> str:
    """Its path below the folder of the data set."""
    return f"Classification/{number:06d}.jpg"
