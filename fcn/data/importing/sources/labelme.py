"""LabelMe: a JSON file for each image, with shapes that are drawn in order, later ones over earlier ones."""

from __future__ import annotations

import base64
import binascii
import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from voc_layers.files import IMAGE_SUFFIXES, has_suffix
from voc_layers.reading import UNDECODED, SampleError

from ..options import Options
from ..report import IGNORED, LEFT_OUT, Record, shown
from ..sample import Sample, Source
from ..tree import Tree
from .documents import read_json, records_in, whole_size
from .drawn import Draw, DrawnLabel, Shape, class_indices, names_of, points_of
from .folders import names_file, place_of
from .shapes import circle, polygon, rectangle

_OUTLINES = {"polygon": (polygon, 3), "rectangle": (rectangle, 2), "circle": (circle, 2)}
#: Shapes without an area.
_NO_AREA = ("line", "linestrip", "point", "points")


def find(tree: Tree, options: Options) -> Source | None:
    """Read every JSON file with shapes; None where there is none."""
    documents, problems = _documents(tree)
    if not documents:
        return None
    drawn = {name: _shapes(document, tree.path(name)) for name, document in documents.items()}
    found = [shape.name for shapes, _ in drawn.values() for shape in shapes]
    indices = class_indices(found, options, names_file(tree).names)
    samples = []
    for name, document in documents.items():
        image = _image_of(tree, name, document)
        if image is None:
            wanted = shown(str(document.get("imagePath") or "its image"))
            problems.append(Record(name, LEFT_OUT, f"{wanted} is not there"))
            continue
        size = whole_size(document, "imageHeight", "imageWidth")
        label = DrawnLabel(tree.path(name), drawn[name][0], indices, size)
        place = place_of(image)
        samples.append(Sample(tree.path(image), label, place.name, place.split or place_of(name).split))
    records = [
        Record(name, IGNORED, f"{lines} lines or points, which have no area")
        for name, (_, lines) in drawn.items()
        if lines
    ]
    used = {sample.image for sample in samples}
    rest = [f for f in tree.files if has_suffix(f, IMAGE_SUFFIXES) and tree.path(f) not in used]
    records += [Record(file, LEFT_OUT, "no JSON file speaks of it") for file in rest]
    return Source(
        "LabelMe",
        tuple(samples),
        names_of(indices),
        fixed=True,
        records=tuple(records),
        problems=tuple(problems),
        notes=("shapes drawn in order; what none covers is background",),
    )


def _documents(tree: Tree) -> tuple[dict[str, dict[str, Any]], list[Record]]:
    """The JSON files with shapes, and those that can't be read."""
    documents: dict[str, dict[str, Any]] = {}
    problems = []
    for name in tree.with_suffix(".json"):
        try:
            document = read_json(tree.path(name))
        except SampleError as problem:
            problems.append(Record(name, LEFT_OUT, str(problem)))
            continue
        if isinstance(document, dict) and "shapes" in document:
            documents[name] = document
    return documents, problems


def _image_of(tree: Tree, name: str, document: dict[str, Any]) -> str | None:
    """The image that a file speaks of: by its path, or by the file's own name."""
    written = document.get("imagePath")
    found = tree.find(written, name.rpartition("/")[0]) if isinstance(written, str) else None
    if found and has_suffix(found, IMAGE_SUFFIXES):
        return found
    stem = name.rpartition(".")[0]
    alike = [f for f in tree.files if f.rpartition(".")[0] == stem and has_suffix(f, IMAGE_SUFFIXES)]
    return alike[0] if len(alike) == 1 else None


def _shapes(document: dict[str, Any], path: Path) -> tuple[tuple[Shape, ...], int]:
    """The shapes of a file, and how many have no area."""
    shapes, lines = [], 0
    for item in records_in(document, "shapes", path):
        kind = item.get("shape_type") or "polygon"
        if kind in _NO_AREA:
            lines += 1
            continue
        if not isinstance(item.get("label"), str) or not item["label"].strip():
            raise SampleError(f"{path}: a shape without a label, which names its class")
        shapes.append(Shape(item["label"].strip(), _drawing(item, str(kind))))
    return tuple(shapes), lines


def _drawing(item: dict[str, Any], kind: str) -> Draw:
    def draw(height: int, width: int) -> np.ndarray:
        if kind == "mask":
            return _pasted(item, height, width)
        if kind not in _OUTLINES:
            raise ValueError(f"of the type '{kind}', which is not drawn; {', '.join(_OUTLINES)} and mask are")
        outline, least = _OUTLINES[kind]
        points = points_of(item.get("points"), least)
        return outline(points if kind == "polygon" else points[:2], height, width)

    return draw


def _pasted(item: dict[str, Any], height: int, width: int) -> np.ndarray:
    """A shape of the type mask: a PNG, and the corner where it lies."""
    left, top = (int(round(n)) for n in points_of(item.get("points"), 1)[0])
    try:
        with Image.open(io.BytesIO(base64.b64decode(str(item.get("mask"))))) as image:
            piece = np.array(image.convert("L")) > 0
    except (*UNDECODED, binascii.Error) as error:
        raise ValueError(f"its mask does not decode ({error or 'out of memory'})") from error
    whole = np.zeros((height, width), bool)
    part = whole[max(top, 0) : top + piece.shape[0], max(left, 0) : left + piece.shape[1]]
    part |= piece[max(-top, 0) :, max(-left, 0) :][: part.shape[0], : part.shape[1]]
    return whole
