"""Street scenes whose folders and values are fixed: Cityscapes, and CamVid as SegNet has it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from voc_layers.facts import VOID
from voc_layers.reading import SampleError

from ..options import Options
from ..rasters import RasterLabel
from ..report import IGNORED, LEFT_OUT, Record
from ..sample import Raster, Sample, Source
from ..tree import Tree

#: The classes that Cityscapes trains and scores, with their ids (cityscapesScripts, helpers/labels.py).
CITYSCAPES = {
    "road": 7, "sidewalk": 8, "building": 11, "wall": 12, "fence": 13, "pole": 17, "traffic light": 19,
    "traffic sign": 20, "vegetation": 21, "terrain": 22, "sky": 23, "person": 24, "rider": 25, "car": 26,
    "truck": 27, "bus": 28, "train": 31, "motorcycle": 32, "bicycle": 33,
}  # fmt: skip
_MOST_ID = 33
#: SegNet's eleven of CamVid's classes, in the order of its label values; 11 is unlabelled.
CAMVID = (
    "Sky", "Building", "Pole", "Road", "Pavement", "Tree", "SignSymbol", "Fence", "Car", "Pedestrian",
    "Bicyclist",
)  # fmt: skip

_IMAGE = re.compile(r"(?:.*/)?leftImg8bit/(\w+)/(.+)_leftImg8bit\.png")
_LABEL = re.compile(r"(?:.*/)?gt(?:Fine|Coarse)/\w+/(.+)_gt(?:Fine|Coarse)_label(Train)?Ids\.png")
_SEGNET = re.compile(r"(?:.*/)?(train|val|test)(annot)?/([^/]+)\.png")


@dataclass(frozen=True)
class IdLabel:
    """A label whose values are ids of a longer list. classes: id -> class; others below `ids` are void."""

    stored: RasterLabel
    classes: Mapping[int, int]
    ids: int

    @property
    def path(self) -> Path:
        return self.stored.path

    def read(self, size: tuple[int, int]) -> Raster:
        """Class indices, 255 = void. SampleError for a value that is no id."""
        raster = self.stored.read(size)
        lookup = np.full(VOID + 1, VOID, np.int32)
        for value, index in self.classes.items():
            lookup[value] = index
        known = (raster.values >= 0) & (raster.values < self.ids) | (raster.values == VOID)
        if raster.coloured or not known.all():
            raise SampleError(f"{self.path}: expected ids from 0 to {self.ids - 1}, or 255, found others")
        return Raster(lookup[raster.values])


def cityscapes(tree: Tree, options: Options) -> Source | None:
    """leftImg8bit and gtFine or gtCoarse: train ids if they were made, else ids; None for other folders."""
    images = {found[2]: (name, found[1]) for name in tree.files if (found := _IMAGE.fullmatch(name))}
    labels: dict[str, tuple[str, bool]] = {}
    for name in tree.files:
        if (found := _LABEL.fullmatch(name)) and not (found[1] in labels and not found[2]):
            labels[found[1]] = (name, bool(found[2]))
    if not images or not labels:
        return None
    samples, records = [], []
    for key, (name, split) in sorted(images.items()):
        if key not in labels:
            records.append(Record(name, LEFT_OUT, "no label of this name"))
            continue
        path, is_train_id = labels[key]
        ids = dict(enumerate(range(len(CITYSCAPES)))) if is_train_id else _train_ids()
        label = IdLabel(RasterLabel(tree.path(path)), ids, len(CITYSCAPES) if is_train_id else _MOST_ID + 1)
        samples.append(
            Sample(tree.path(name), label, key, split if split in ("train", "val", "test") else None)
        )
    used = {sample.label.path for sample in samples} | {sample.image for sample in samples}
    unused = [
        name for name in tree.files if re.search(r"(?:^|/)gt\w+/", name) and tree.path(name) not in used
    ]
    records += [Record(name, IGNORED, "instances, polygons or pictures for people") for name in unused]
    note = "Cityscapes' 19 classes; all other ids are void"
    names = _named(options, tuple(CITYSCAPES))
    return Source("Cityscapes", tuple(samples), names, fixed=True, records=tuple(records), notes=(note,))


def _named(options: Options, names: tuple[str, ...]) -> tuple[str, ...]:
    """The classes, or what --classes calls them."""
    if options.classes and len(options.classes) != len(names):
        raise SampleError(f"--classes: expected {len(names)} names, found {len(options.classes)}")
    return options.classes or names


def _train_ids() -> dict[int, int]:
    return {value: index for index, value in enumerate(CITYSCAPES.values())}


def camvid(tree: Tree, options: Options) -> Source | None:
    """train and trainannot, val and valannot, test and testannot; None for other folders."""
    found = [(name, m) for name in tree.files if (m := _SEGNET.fullmatch(name))]
    labels = {(m[1], m[3]): name for name, m in found if m[2]}
    images = {(m[1], m[3]): name for name, m in found if not m[2]}
    if not labels or not images.keys() & labels.keys():
        return None
    ids = dict(enumerate(range(len(CAMVID))))
    samples = [
        Sample(
            tree.path(name),
            IdLabel(RasterLabel(tree.path(labels[key])), ids, len(CAMVID) + 1),
            key[1],
            key[0],
        )
        for key, name in sorted(images.items())
        if key in labels
    ]
    records = [
        Record(images[key], LEFT_OUT, "no label of this name") for key in images.keys() - labels.keys()
    ]
    records += [
        Record(labels[key], LEFT_OUT, "no image of this name") for key in labels.keys() - images.keys()
    ]
    note = "SegNet's 11 classes of CamVid; 11 is void"
    names = _named(options, CAMVID)
    return Source("CamVid", tuple(samples), names, fixed=True, records=tuple(records), notes=(note,))
