"""COCO's annotations: one JSON file for many images, with polygons or run lengths.

Larger objects are drawn first, so that smaller ones lie on them: the format has no order of its own. Crowds
are pixels of their class like others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from voc_layers.files import IMAGE_SUFFIXES, has_suffix
from voc_layers.reading import SampleError

from ..options import Options
from ..report import IGNORED, LEFT_OUT, Record, shown
from ..sample import Sample, Source
from ..tree import Tree, split_named
from .documents import read_json, records_in, whole_size
from .drawn import FARTHEST, Draw, DrawnLabel, Shape, class_indices, names_of, points_of
from .folders import place_of
from .rle import counts_of, mask_of
from .shapes import polygon

#: Areas beyond this are no objects' of an image.
LARGEST_AREA = FARTHEST**2
#: The lists that make a JSON file one of COCO's.
_LISTS = ("images", "annotations", "categories")


@dataclass(frozen=True)
class _Document:
    """A file of annotations. named: the categories' names by number."""

    file: str
    path: Path
    content: dict[str, Any]
    named: dict[int, str]

    @classmethod
    def of(cls, file: str, path: Path, content: dict[str, Any]) -> _Document:
        named = {}
        for item in records_in(content, "categories", path):
            if not isinstance(item.get("id"), int) or not isinstance(item.get("name"), str):
                raise SampleError(f"{path}: a category without 'id' or 'name': {str(item)[:60]}")
            named[item["id"]] = item["name"].strip()
        return cls(file, path, content, named)

    @property
    def images(self) -> list[dict[str, Any]]:
        """SampleError for one without a number."""
        images = records_in(self.content, "images", self.path)
        for item in images:
            if not isinstance(item.get("id"), (int, str)) or not isinstance(item.get("file_name"), str):
                raise SampleError(f"{self.path}: an image without 'id' or 'file_name': {str(item)[:60]}")
        return images


def find(tree: Tree, options: Options) -> Source | None:
    """Read every file of annotations; None where there is none."""
    documents = _documents(tree)
    if not documents:
        return None
    order = list(dict.fromkeys(name for one in documents for _, name in sorted(one.named.items())))
    indices = class_indices(order, options, order)
    samples: list[Sample] = []
    records: list[Record] = []
    problems: list[Record] = []
    for document in documents:
        shapes, bare = _shapes(document)
        if bare:
            records.append(Record(document.file, IGNORED, f"{bare} annotations without an outline"))
        some, missing = _samples(tree, document, shapes, indices)
        samples += some
        problems += [Record(document.file, LEFT_OUT, f"the image {name} is not there") for name in missing]
    used = Counter(sample.image for sample in samples)
    if twice := [image for image, count in used.items() if count > 1]:
        files = ", ".join(document.file for document in documents)
        raise SampleError(
            f"{tree.root}: {shown(twice[0])} is listed more than once in {files}; import one file by its name"
        )
    rest = [f for f in tree.files if has_suffix(f, IMAGE_SUFFIXES) and tree.path(f) not in used]
    records += [Record(file, LEFT_OUT, "no annotations speak of it") for file in rest]
    return Source(
        "COCO",
        tuple(samples),
        names_of(indices),
        fixed=True,
        records=tuple(records),
        problems=tuple(problems),
        notes=("larger objects drawn first, smaller ones on them; what none covers is background",),
    )


def _documents(tree: Tree) -> list[_Document]:
    found = []
    for name in tree.with_suffix(".json"):
        try:
            content = read_json(tree.path(name))
        except SampleError:
            if tree.start is not None:
                raise
            continue  # another program's
        if isinstance(content, dict) and all(key in content for key in _LISTS):
            found.append(_Document.of(name, tree.path(name), content))
    return found


def _samples(
    tree: Tree, document: _Document, shapes: Mapping[int | str, tuple[Shape, ...]], indices: dict[str, int]
) -> tuple[list[Sample], list[str]]:
    """The samples of a file, and the names of images that are not there."""
    file, beside = document.file.rpartition("/")[2], document.file.rpartition("/")[0]
    split = split_named(file.rpartition(".")[0])
    names = Counter(item["file_name"].rpartition("/")[2] for item in document.images)
    samples, missing = [], []
    for item in document.images:
        written = item["file_name"]
        image = tree.find(written, beside, by_name=names[written.rpartition("/")[2]] == 1)
        if image is None or not has_suffix(image, IMAGE_SUFFIXES):
            missing.append(shown(written))
            continue
        place = place_of(image)
        size = whole_size(item, "height", "width")
        label = DrawnLabel(document.path, shapes.get(item["id"], ()), indices, size)
        samples.append(Sample(tree.path(image), label, place.name, place.split or split))
    return samples, missing


def _shapes(document: _Document) -> tuple[dict[int | str, tuple[Shape, ...]], int]:
    """The shapes of each image by its number, larger ones first; and how many annotations have no outline.

    Raises:
        SampleError: an annotation of a category or an image that the file does not list.
    """
    found: dict[int | str, list[tuple[float, Shape]]] = {item["id"]: [] for item in document.images}
    bare = 0
    for item in records_in(document.content, "annotations", document.path):
        category, image = item.get("category_id"), item.get("image_id")
        for key, value, known in (("category", category, document.named), ("image", image, found)):
            if not isinstance(value, (int, str)) or value not in known:
                raise SampleError(
                    f"{document.path}: annotation {item.get('id')} is of the {key} {value}, which the file "
                    "does not list"
                )
        if item.get("segmentation"):
            shape = Shape(document.named[item["category_id"]], _drawing(item["segmentation"]))
            found[item["image_id"]].append((_area(item), shape))
        else:
            bare += 1
    ordered = {n: sorted(some, key=lambda pair: -pair[0]) for n, some in found.items()}
    return {n: tuple(shape for _, shape in some) for n, some in ordered.items()}, bare


def _area(item: dict[str, Any]) -> float:
    """By which objects are ordered: what the file states, or else that of its box."""
    area = item.get("area")
    box = item.get("bbox")
    if isinstance(area, (int, float)) and area > 0:
        return min(area, LARGEST_AREA)
    if isinstance(box, list) and len(box) == 4 and all(isinstance(n, (int, float)) for n in box):
        return float(min(box[2], FARTHEST) * min(box[3], FARTHEST))
    return 0.0


def _drawing(segmentation: Any) -> Draw:
    def draw(height: int, width: int) -> np.ndarray:
        if isinstance(segmentation, dict):
            return _runs(segmentation, height, width)
        if not isinstance(segmentation, list) or not all(isinstance(part, list) for part in segmentation):
            raise ValueError(f"expected polygons or run lengths, found {str(segmentation)[:60]}")
        inside = np.zeros((height, width), bool)
        for part in segmentation:
            inside |= polygon(points_of(part, 3), height, width)
        return inside

    return draw


def _runs(segmentation: dict[str, Any], height: int, width: int) -> np.ndarray:
    counts = segmentation.get("counts")
    if segmentation.get("size", [height, width]) != [height, width]:
        raise ValueError(f"run lengths of the size {segmentation['size']}, its image has [{height}, {width}]")
    if isinstance(counts, str):
        return mask_of(counts_of(counts), height, width)
    if not isinstance(counts, list) or not all(isinstance(n, int) for n in counts):
        raise ValueError(f"expected run lengths, found {str(counts)[:60]}")
    return mask_of(counts, height, width)
