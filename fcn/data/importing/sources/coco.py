"""COCO's annotations: one JSON file for many images, with polygons or run lengths.

Larger objects are drawn first, so that smaller ones lie on them: the format has no order of its own. Crowds
are pixels of their class like others.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np

from voc_layers.files import IMAGE_SUFFIXES, has_suffix
from voc_layers.reading import SampleError

from ..options import Options
from ..report import IGNORED, LEFT_OUT, Record, shown
from ..sample import Sample, Source
from ..tree import Tree, split_named
from .documents import read_json, records_in, whole_size
from .drawn import Draw, DrawnLabel, Shape, class_indices, names_of, points_of
from .folders import place_of
from .rle import counts_of, mask_of
from .shapes import polygon

#: The lists that make a JSON file one of COCO's.
_LISTS = ("images", "annotations", "categories")


def find(tree: Tree, options: Options) -> Source | None:
    """Read every file of annotations; None where there is none."""
    documents = []
    for name in tree.with_suffix(".json"):
        try:
            document = read_json(tree.path(name))
        except SampleError:
            if tree.start is not None:
                raise
            continue
        if isinstance(document, dict) and all(key in document for key in _LISTS):
            documents.append((name, document))
    if not documents:
        return None
    categories = [_categories(tree, name, document) for name, document in documents]
    order = list(dict.fromkeys(label for found in categories for _, label in sorted(found.items())))
    indices = class_indices(order, options, order)
    samples: list[Sample] = []
    records: list[Record] = []
    for (name, document), named in zip(documents, categories):
        some, more = _samples(tree, name, document, _Classes(named, indices))
        samples += some
        records += more
    used = {sample.image for sample in samples}
    rest = [f for f in tree.files if has_suffix(f, IMAGE_SUFFIXES) and tree.path(f) not in used]
    records += [Record(file, LEFT_OUT, "no annotations speak of it") for file in rest]
    note = "larger objects drawn first, smaller ones on them; what none covers is background"
    return Source(
        "COCO", tuple(samples), names_of(indices), fixed=True, records=tuple(records), notes=(note,)
    )


@dataclass(frozen=True)
class _Classes:
    """From a category's number to its name, and from there to the index of its class."""

    named: dict[Any, str]
    indices: dict[str, int]


def _categories(tree: Tree, name: str, document: dict[str, Any]) -> dict[Any, str]:
    """number -> name."""
    found = {}
    for item in records_in(document, "categories", tree.path(name)):
        if not isinstance(item.get("id"), int) or not isinstance(item.get("name"), str):
            raise SampleError(f"{tree.path(name)}: a category without 'id' or 'name': {str(item)[:60]}")
        found[item["id"]] = item["name"].strip()
    return found


def _samples(
    tree: Tree, name: str, document: dict[str, Any], classes: _Classes
) -> tuple[list[Sample], list[Record]]:
    path, beside = tree.path(name), name.rpartition("/")[0]
    shapes, records = _shapes(tree, name, document, classes)
    split = split_named(name.rpartition("/")[2].rpartition(".")[0])
    samples = []
    for item in records_in(document, "images", path):
        written = str(item.get("file_name", ""))
        image = tree.find(written, beside)
        if image is None or not has_suffix(image, IMAGE_SUFFIXES):
            records.append(Record(name, LEFT_OUT, f"the image {shown(written)} is not there"))
            continue
        place = place_of(image)
        label = DrawnLabel(
            path, shapes.pop(item.get("id"), ()), classes.indices, whole_size(item, "height", "width")
        )
        samples.append(Sample(tree.path(image), label, place.name, place.split or split))
    strangers = sum(
        len(some)
        for number, some in shapes.items()
        if number not in {i.get("id") for i in document["images"]}
    )
    if strangers:
        raise SampleError(f"{path}: {strangers} annotations are of images that the file does not list")
    return samples, records


def _shapes(
    tree: Tree, name: str, document: dict[str, Any], classes: _Classes
) -> tuple[dict[Any, tuple[Shape, ...]], list[Record]]:
    """image number -> its shapes, larger ones first; and what has no outline."""
    found: dict[Any, list[tuple[float, Shape]]] = defaultdict(list)
    bare = 0
    for item in records_in(document, "annotations", tree.path(name)):
        if item.get("category_id") not in classes.named:
            raise SampleError(
                f"{tree.path(name)}: annotation {item.get('id')} is of category {item.get('category_id')}, "
                "which the file does not list"
            )
        segmentation = item.get("segmentation")
        if not segmentation:
            bare += 1
            continue
        shape = Shape(classes.named[item["category_id"]], _drawing(segmentation))
        found[item.get("image_id")].append((_area(item), shape))
    records = [Record(name, IGNORED, f"{bare} annotations without an outline")] if bare else []
    ordered = {n: sorted(some, key=lambda pair: -pair[0]) for n, some in found.items()}
    return {n: tuple(shape for _, shape in some) for n, some in ordered.items()}, records


def _area(item: dict[str, Any]) -> float:
    """By which objects are ordered: what the file states, or else that of its box."""
    area = item.get("area")
    box = item.get("bbox")
    if isinstance(area, (int, float)) and area > 0:
        return float(area)
    if isinstance(box, list) and len(box) == 4 and all(isinstance(n, (int, float)) for n in box):
        return float(box[2] * box[3])
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
