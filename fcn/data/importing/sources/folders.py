"""Images in one folder, labels in another or beside them: paired by name.

`images/` and `masks/`, with `train` and `val` above or below them; `JPEGImages` and `SegmentationClass`;
`x.jpg` with `x_mask.png`, `x_label.png` or `x.png`. A folder counts as what a word in its name says.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from voc_layers.files import has_suffix
from voc_layers.reading import ClassList, SampleError, read_classes, read_text

from ..options import Options
from ..rasters import ARRAY_SUFFIXES, RASTER_SUFFIXES, RasterLabel
from ..report import IGNORED, LEFT_OUT, Record
from ..sample import Sample, Source
from ..table import Table, read_table
from ..tree import Tree, split_named

_IMAGES = frozenset({
    "image", "images", "img", "imgs", "jpegimages", "photo", "photos", "picture", "pictures", "rgb", "input",
    "inputs", "stillsraw", "frames",
})  # fmt: skip
_LABELS = frozenset({
    "mask", "masks", "label", "labels", "annotation", "annotations", "annot", "annots", "segmentationclass",
    "segmentation", "segmentations", "gt", "gts", "groundtruth", "truth", "target", "targets",
    "labeledapproved",
})  # fmt: skip
#: Folders of what is neither: instances, and pictures for people.
_OTHERS = frozenset({
    "segmentationobject", "segmentationclassvisualization", "instance", "instances", "inst", "overlay",
    "overlays", "visualization", "visualizations", "vis", "preview", "previews", "depth",
})  # fmt: skip
_LABEL_ENDING = re.compile(
    r"(?:[_-](?:masks?|labels?|seg|segmentation|gt|annotation|annot|groundtruth|l))$", re.IGNORECASE
)
_IMAGE_ENDING = re.compile(r"[_-](?:image|img|rgb|sat|photo)$", re.IGNORECASE)
#: Files that name the classes of a folder, and those that name their colours.
_CLASS_FILES = ("classes.txt", "class_names.txt", "labels.txt")
_COLOUR_FILES = (
    "label_colors.txt",
    "labelmap.txt",
    "class_dict.csv",
    "colormap.txt",
    "colors.txt",
    "palette.txt",
)


@dataclass(frozen=True)
class Place:
    """Where a file lies: what it is by its folders, and what is left of its path.

    role: `image`, `label`, `other`, or empty.
    """

    file: str
    role: str
    split: str | None
    folder: str
    stem: str

    @property
    def name(self) -> str:
        """The path by which images and labels are paired."""
        return f"{self.folder}/{self.stem}" if self.folder else self.stem


def find(tree: Tree, options: Options) -> Source | None:
    """Pair images and labels; None where there are no files that could be labels."""
    places = [place_of(name) for name in tree.files]
    other = [place.file for place in places if place.role == "other"]
    places = [p for p in places if p.role != "other" and has_suffix(p.file, RASTER_SUFFIXES)]
    images, labels, records = _roles(places)
    if not images or not labels:
        return None
    pairs, unpaired = pair(images, labels)
    samples = [
        Sample(
            tree.path(image.file),
            RasterLabel(tree.path(label.file), options.mat_name),
            image.name,
            image.split or label.split,
        )
        for image, label in pairs
    ]
    records += unpaired + [Record(name, IGNORED, "instances or pictures for people") for name in other]
    samples, more, note = listed_splits(tree, samples)
    listed = names_file(tree)
    return Source(
        "images and labels in folders",
        tuple(samples),
        listed.names,
        colour_file(tree),
        listed.void,
        records=(*records, *more),
        notes=(note,) if note else (),
    )


def place_of(file: str) -> Place:
    """What a file's folders say of it."""
    *folders, name = file.split("/")
    role, split, rest = "", None, []
    for folder in folders:
        words = _words(folder)
        found = _role_of(words)
        role = found or role
        divides = split_named(" ".join(words)) if found or len(words) == 1 else None
        split = divides or split
        if not found and not divides:
            rest.append(folder)
    return Place(file, role, split, "/".join(rest), name.rpartition(".")[0])


def _words(folder: str) -> list[str]:
    """The words of a folder's name, in lower case; `trainannot`, as CamVid has it, is two."""
    parted = re.sub(r"^(train|val|test)(annots?|labels?|masks?)$", r"\1 \2", folder.lower())
    return [word for word in re.split(r"[\W_]+", parted) if word]


def _role_of(words: Sequence[str]) -> str:
    for role, known in (("other", _OTHERS), ("label", _LABELS), ("image", _IMAGES)):
        if known & set(words):
            return role
    return ""


def _roles(places: Sequence[Place]) -> tuple[list[Place], list[Place], list[Record]]:
    """Images, labels, and files that are neither."""
    labels = [p for p in places if p.role == "label" or has_suffix(p.file, ARRAY_SUFFIXES)]
    rest = [p for p in places if p not in set(labels)]
    images = [p for p in rest if p.role == "image"]
    loose = [p for p in rest if not p.role]
    if labels and images:
        ignored = [Record(p.file, IGNORED, "beside the folders of images and labels") for p in loose]
        return images, labels, ignored
    beside = _beside(images + loose) if not labels else set()
    labels += [p for p in rest if p in beside]
    return [p for p in rest if p not in beside], labels, []


def _beside(places: Sequence[Place]) -> set[Place]:
    """The labels among files of one folder: `x_mask.png` with `x.jpg`; or `x.png` with `x.jpg`."""
    stems = {(p.folder, p.split, re.sub(_IMAGE_ENDING, "", p.stem)) for p in places}
    ending = {
        p for p in places
        if (bare := _LABEL_ENDING.sub("", p.stem)) != p.stem and (p.folder, p.split, bare) in stems
    }  # fmt: skip
    if ending:
        return ending
    photos = {(p.folder, p.split, p.stem) for p in places if has_suffix(p.file, (".jpg", ".jpeg"))}
    return {
        p for p in places
        if not has_suffix(p.file, (".jpg", ".jpeg")) and (p.folder, p.split, p.stem) in photos
    }  # fmt: skip


Key = Callable[[Place], object]

#: How files are paired: by the whole path, without what names end in, by the name alone.
_KEYS: tuple[Key, ...] = (
    lambda p: (p.split, p.name),
    lambda p: (p.split, p.folder, _bare(p.stem)),
    lambda p: _bare(p.stem).lower(),
)


def _bare(stem: str) -> str:
    return _IMAGE_ENDING.sub("", _LABEL_ENDING.sub("", stem))


def pair(images: Sequence[Place], labels: Sequence[Place]) -> tuple[list[tuple[Place, Place]], list[Record]]:
    """Each image with its label, in the order of the images; and records of what has no other half."""
    found: dict[Place, Place] = {}
    free = set(labels)
    records = []
    for key in _KEYS:
        left, right = _by(key, [p for p in images if p not in found]), _by(key, sorted(free, key=_file))
        for what, here in left.items():
            there = right.get(what, [])
            if len(here) == len(there) == 1:
                found[here[0]] = there[0]
                free.discard(there[0])
    taken = _by(_KEYS[2], list(found))
    for image in images:
        if image not in found:
            records.append(Record(image.file, LEFT_OUT, _why(image, free, "label")))
    for label in sorted(free, key=_file):
        same = taken.get(_KEYS[2](label))
        why = (
            f"{same[0].file} has another label" if same else _why(label, set(images) - found.keys(), "image")
        )
        records.append(Record(label.file, LEFT_OUT, why))
    return [(image, found[image]) for image in images if image in found], records


def _file(place: Place) -> str:
    return place.file


def _by(key: Key, places: Sequence[Place]) -> dict[object, list[Place]]:
    found: dict[object, list[Place]] = defaultdict(list)
    for place in places:
        found[key(place)].append(place)
    return found


def _why(place: Place, others: set[Place], what: str) -> str:
    several = sorted(o.file for o in others if _KEYS[2](o) == _KEYS[2](place))
    return (
        f"several files may be its {what}: {', '.join(several[:3])}" if several else f"no {what} of this name"
    )


def names_file(tree: Tree) -> ClassList:
    """The classes that a file in the source names, one a line; no names where there is no such file."""
    for name in _CLASS_FILES:
        if name in tree.files:
            try:
                listed = read_classes(tree.path(name))
            except SampleError:
                continue  # a file of that name is not always such a list
            if not any(re.search(r"[,;\t]|\d\s+\d", line) for line in listed.names):
                return listed
    return ClassList(())


def colour_file(tree: Tree) -> Table | None:
    """The table of colours in the source; None where there is none that can be read as one."""
    named = [name for name in tree.files if name.rpartition("/")[2].lower() in _COLOUR_FILES]
    for name in sorted(named, key=lambda name: (name.count("/"), name)):
        try:
            return read_table(tree.path(name))
        except SampleError:
            continue  # a file of that name is not always a table
    return None


def listed_splits(tree: Tree, samples: Sequence[Sample]) -> tuple[list[Sample], list[Record], str]:
    """The samples with the splits that lists of ids in the source give them, and what is in no list."""
    lists = _lists(tree)
    by_id = {key: i for i, s in enumerate(samples) for key in (s.name.rpartition("/")[2], s.name)}
    splits: dict[int, str] = {}
    for split, ids in lists.items():
        for name in ids:
            if name in by_id:
                splits.setdefault(by_id[name], split)
    if not splits:
        return list(samples), [], ""
    kept, records = [], []
    for i, sample in enumerate(samples):
        if i not in splits and "train" in lists:
            records.append(Record(sample.name, LEFT_OUT, "in none of the lists of the source"))
        else:
            kept.append(Sample(sample.image, sample.label, sample.name, splits.get(i, sample.split)))
    return kept, records, f"splits by the lists {', '.join(sorted(lists))} of the source"


def _lists(tree: Tree) -> dict[str, list[str]]:
    """split -> ids, of files such as train.txt with an id a line; of VOC's, those in Segmentation."""
    files = [name for name in tree.with_suffix(".txt") if _split_of_list(name)]
    files = [name for name in files if "Segmentation" in name.split("/")] or files
    found: dict[str, list[str]] = {}
    for name in files:
        lines = [line.strip() for line in read_text(tree.path(name)).splitlines()]
        ids = [re.sub(r"\.\w{2,4}$", "", line) for line in lines if line]
        found.setdefault(str(_split_of_list(name)), ids)
    return {split: found[split] for split in ("train", "val", "test") if split in found}


def _split_of_list(name: str) -> str | None:
    stem = name.rpartition("/")[2].rpartition(".")[0]
    return split_named(stem) if "_" not in stem else None
