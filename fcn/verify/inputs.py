"""Whether the images and labels are those that the numbers are meant for."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from voc_layers.facts import MEAN_BGR, VOC_CLASSES
from voc_layers.folder import Folder, SbdFolder, Split
from voc_layers.reading import SampleError

from ..data import TrainingData
from ..data.check import Check, check_split
from ..tables import percent
from .finding import Finding

COLOURS, VOID, OVERLAP = "colour order and mean", "void label", "overlap of the lists"
SIZES, BALANCE = "split sizes", "class balance"

#: Images of PASCAL VOC's published experiment: SBD's train.txt, and VOC 2011's val less those.
SBD_TRAIN, SEG11VALID = 8498, 736
#: Grey levels: from Caffe's mean, and of another mean from that of the images.
SAME_MEAN, NEAR_MEAN = 5.0, 40.0
#: Images that their mean is taken of, and labels that are looked at, where not all are.
IMAGES, LABELS = 20, 100
#: Of all pixels: one class with more leaves nothing to learn; as void, nothing to count.
MOST_OF_A_CLASS, MOST_VOID = 0.98, 0.5

_CHECK = "see what is there: fcn data check {}"


@dataclass(frozen=True)
class Inputs:
    """What a net is trained and scored on.

    Attributes:
        train: what was found in labels of the list to train on.
        val: the same of the list to score on; None where it is not used.
    """

    data: TrainingData
    train: Check
    val: Check | None

    @classmethod
    def look(cls, data: TrainingData) -> Inputs:
        """With the first LABELS of each list."""
        train, val = (
            check_split(replace(split, ids=split.ids[:LABELS]), decode=False)
            for split in (data.train, data.val)
        )
        return cls(data, train, val)


def check_inputs(inputs: Inputs | None) -> list[Finding]:
    """What can be known of the data; None where they are no images with label maps."""
    checks = (
        (COLOURS, colours),
        (VOID, void),
        (OVERLAP, overlap),
        (SIZES, sizes),
        (BALANCE, balance),
    )
    if inputs is None:
        return [
            Finding.unknown(name, "the run's data layers read no folder in VOC's or SBD's layout")
            for name, _ in checks
        ]
    return [check(inputs) for _, check in checks]


def colours(inputs: Inputs) -> Finding:
    """The mean that is subtracted is one of B, G, R from 0 to 255."""
    mean = inputs.data.train.folder.mean
    said = f"B, G, R less {', '.join(f'{value:g}' for value in mean)}"
    how = "the mean stands in classes.txt as B, G, R of 0 to 255; without it, Caffe's is taken. Train again"
    if _near(mean, MEAN_BGR, SAME_MEAN):
        return Finding.passed(COLOURS, f"{said}: Caffe's mean")
    if max(mean) <= 2:
        return Finding.failed(COLOURS, f"{said}: a mean of images of 0 to 1, or none", how)
    if _near(mean[::-1], MEAN_BGR, SAME_MEAN):
        return Finding.failed(COLOURS, f"{said}: Caffe's mean as R, G, B", how)
    try:
        found = _mean_of(inputs.data.train)
    except SampleError as error:
        return Finding.unknown(COLOURS, f"{said}: not Caffe's, and the images can't be read: {error}")
    measured = f"{said}; {IMAGES} images at most have {', '.join(f'{value:.0f}' for value in found)}"
    if _near(mean, found, NEAR_MEAN):
        return Finding.passed(COLOURS, measured)
    return Finding.failed(COLOURS, measured, how)


def _near(a: tuple[float, ...], b: tuple[float, ...], within: float) -> bool:
    return bool(np.abs(np.subtract(a, b)).max() <= within)


def _mean_of(split: Split) -> tuple[float, ...]:
    """B, G, R of the first images of a list."""
    if not split.ids:
        raise SampleError(f"{split.list_file}: no ids")
    means = [split.folder.image(name).reshape(-1, 3).mean(0)[::-1] for name in split.ids[:IMAGES]]
    return tuple(map(float, np.mean(means, 0)))


def void(inputs: Inputs) -> Finding:
    """Void is no class, is not most of the labels, and PASCAL VOC's boundaries have it."""
    folder = inputs.data.train.folder
    value = f"void is {folder.void}"
    if folder.void < len(folder.classes):
        how = (
            "give void another value, in the labels and in classes.txt: it is never learned and never scored"
        )
        name = folder.classes[folder.void]
        return Finding.failed(VOID, f"{value}, which is class '{name}' of {len(folder.classes)}", how)
    if unread := _unread(VOID, inputs, inputs.train, inputs.val):
        return unread
    shares = {check.split: _void_share(check) for check in (inputs.train, inputs.val) if check}
    said = f"{value}: " + ", ".join(f"{percent(share)} % of {split}" for split, share in shares.items())
    root = inputs.data.train.folder.root
    if max(shares.values()) > MOST_VOID:
        return Finding.failed(VOID, said, _CHECK.format(root))
    if inputs.val and _is_voc(inputs.data.val.folder) and not inputs.val.pixels[-1]:
        how = "PASCAL VOC's labels have 255 at every boundary: take the PNGs as they come, not converted ones"
        return Finding.failed(VOID, f"{said}; {inputs.val.images} labels of PASCAL VOC without any", how)
    return Finding.passed(VOID, said)


def _void_share(check: Check) -> float:
    return float(check.pixels[-1] / max(int(check.pixels.sum()), 1))


def _is_voc(folder: Folder) -> bool:
    """PASCAL VOC's own classes; SBD has them too, and no void."""
    return folder.classes == VOC_CLASSES and not isinstance(folder, SbdFolder)


def overlap(inputs: Inputs) -> Finding:
    """No image is both trained and scored on."""
    data = inputs.data
    if inputs.val is None:
        return Finding.unknown(OVERLAP, "the run is not scored while it is trained")
    if not data.train.ids or not data.val.ids:
        empty = data.val if data.train.ids else data.train
        return Finding.unknown(OVERLAP, f"{empty.list_file}: expected a list of images, found none")
    shared = data.shared()
    if not shared:
        return Finding.passed(
            OVERLAP, f"{len(data.train.ids)} to train on, {len(data.val.ids)} others to score on"
        )
    some = (
        f"{len(shared)} of the {len(data.val.ids)} images to score on are also trained on ({shared[0]}, ...)"
    )
    how = f"scores will be too good (65 for 57, once): take them off {data.val.list_file}"
    return Finding.failed(OVERLAP, some, how)


def sizes(inputs: Inputs) -> Finding:
    """PASCAL VOC's lists are as long as the published ones."""
    train, val = inputs.data.train, inputs.data.val
    said = f"{train.name} {len(train.ids)}, {val.name} {len(val.ids)}"
    if not _is_voc(val.folder):
        return Finding.unknown(SIZES, f"{said}; not PASCAL VOC: no published lists to compare with")
    how = "fcn data get sbd, then --sbd-dir; seg11valid.txt: docs/getting-data.md"
    if not isinstance(train.folder, SbdFolder):
        return Finding.failed(SIZES, f"{said}; published: SBD's train, {SBD_TRAIN}, which is not used", how)
    expected = f"published: {SBD_TRAIN} of SBD, seg11valid {SEG11VALID}"
    if len(train.ids) != SBD_TRAIN or (val.name == "seg11valid" and len(val.ids) != SEG11VALID):
        return Finding.failed(SIZES, f"{said}; {expected}", how)
    if val.name != "seg11valid":
        return Finding.unknown(SIZES, f"{said}; {expected}: scores on {val.name} are not to be compared")
    return Finding.passed(SIZES, said)


def balance(inputs: Inputs) -> Finding:
    """No class has nearly all pixels."""
    if unread := _unread(BALANCE, inputs, inputs.train):
        return unread
    data, pixels = inputs.data.train, inputs.train.pixels[:-1]
    share, names = pixels.max() / max(int(pixels.sum()), 1), data.folder.classes
    first, there = str(names[int(pixels.argmax())]), int((pixels > 0).sum())
    said = (
        f"'{first}' has {percent(float(share))} % of the pixels in {inputs.train.images} labels; "
        f"{there} of {len(names)} classes occur"
    )
    if 0 < share <= MOST_OF_A_CLASS:
        return Finding.passed(BALANCE, said)
    how = "crop images to what is to be found, or leave out those without: nothing weighs classes here"
    return Finding.failed(BALANCE, said, how)


def _unread(name: str, inputs: Inputs, *checks: Check | None) -> Finding | None:
    """A finding where labels are not there or can't be used; None where all were read."""
    data = inputs.data
    pairs = [(split, check) for split, check in zip((data.train, data.val), checks) if check is not None]
    for split, check in pairs:
        missing = split.missing()
        if missing:
            return Finding.unknown(name, f"not there: {missing[0]}")
        if check.problems:
            return Finding.failed(name, check.problems[0], _CHECK.format(split.folder.root))
    return None
