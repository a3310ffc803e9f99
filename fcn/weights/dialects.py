"""What other projects call VGG16's layers, and which images their values are for.

torchvision numbers the layers (`features.0` ... `classifier.6`). Three kinds of values go by these names:
torchvision's own, trained by itself for scaled RGB; its "features" variant, for RGB of 0 to 255 and without
fc6 to fc8, which hold NaN; and Caffe's own values in files of wkentaro (vgg16_from_caffe.pth), jcjohnson
(vgg16-00b39a1b.pth) and others. A file tells by its digest which it is, or by what only one of them has.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from voc_layers.facts import MEAN_BGR

from ..fetching.source import digest
from . import folding
from .caffemodel import some

_CONVOLUTIONS = {
    0: "conv1_1", 2: "conv1_2", 5: "conv2_1", 7: "conv2_2", 10: "conv3_1", 12: "conv3_2", 14: "conv3_3",
    17: "conv4_1", 19: "conv4_2", 21: "conv4_3", 24: "conv5_1", 26: "conv5_2", 28: "conv5_3",
}  # fmt: skip
_DENSE = {0: "fc6", 3: "fc7", 6: "fc8"}
#: In torchvision before 2017, a Dropout came first.
_OLD_DENSE = {1: "fc6", 4: "fc7", 6: "fc8"}
_NAMES = {f"features.{number}": name for number, name in _CONVOLUTIONS.items()}
_WIDE = ("fc6", "fc7", "fc8")

#: What the values of numbered layers may be, for `--values`: kind -> the images they are for.
VALUES: dict[str, folding.Pixels | None] = {
    "torchvision": folding.IMAGENET,
    "torchvision-features": folding.ORIGINAL,
    "caffe": None,
}
#: The start of a file's SHA-256 (or its MD5) -> what its values are.
_KNOWN = {
    "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0": "torchvision",
    "88682ab5": "torchvision-features",
    "00b39a1b": "caffe",  # jcjohnson
    "aa75b158f4181e7f6230029eb96c1b13": "caffe",  # wkentaro
}


@dataclass
class Weights:
    """The parameters of a file.

    Attributes:
        layers: name -> arrays, in Caffe's order.
        unknown: the keys that name no parameter.
        kind: whose names and values they were.
        changes: what was done to them, a sentence each.
        broken: layers that the file has, but without numbers in them.
    """

    layers: dict[str, list[np.ndarray]]
    unknown: list[str] = field(default_factory=list)
    kind: str = "Caffe's names and values"
    changes: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)


def is_numbered(names: Mapping[str, object]) -> bool:
    """Whether the layers are numbered, as torchvision does it, be they VGG16's or another net's."""
    return all(re.fullmatch(r"(features|classifier)\.\d+", name) for name in names)


def translate(weights: Weights, path: Path, values: str | None = None, keep_mean: bool = False) -> Weights:
    """The parameters under Caffe's names and for Caffe's images, where they are VGG16's by torchvision's.

    Others are returned as they are.

    Args:
        path: the file they come from, for its digest and for errors.
        values: what they are, one of VALUES, where the file does not tell.
        keep_mean: fold for images less the file's own mean, not Caffe's: exact in the padding, too.

    Raises:
        ValueError: it is not to be told whose values they are, or a file that its own name calls damaged.
    """
    names = _caffe_names(weights.layers)
    if names is None:
        if values is not None or keep_mean:
            raise ValueError(
                f"{path}: --values and --keep-mean are for VGG16 by torchvision's names, and it has "
                f"{some(weights.layers)}"
            )
        return weights
    layers = {names[name]: blobs for name, blobs in weights.layers.items()}
    broken = [name for name in _WIDE if name in layers and not _finite(layers[name])]
    kind = values or _kind(path, weights.layers, broken)
    if keep_mean and VALUES[kind] is None:
        raise ValueError(f"{path}: --keep-mean is for torchvision's values, and these are Caffe's")
    whole = {name: blobs for name, blobs in layers.items() if name not in broken}
    found = replace(
        weights, layers=whole, broken=broken, kind=f"VGG16 by torchvision's names, values: {kind}"
    )
    found.changes = [*_left_out(broken), *_fold(path, whole, VALUES[kind], keep_mean)]
    return found


def _caffe_names(layers: Mapping[str, object]) -> dict[str, str] | None:
    """numbered name -> Caffe's, if every layer has one and they begin with the first."""
    dense = _OLD_DENSE if "classifier.1" in layers else _DENSE
    names = {**_NAMES, **{f"classifier.{number}": name for number, name in dense.items()}}
    return names if "features.0" in layers and layers.keys() <= names.keys() else None


def _kind(path: Path, layers: Mapping[str, object], broken: list[str]) -> str:
    digests = [digest(path, "sha256"), digest(path, "md5")]
    for known, kind in _KNOWN.items():
        if any(digest.startswith(known) for digest in digests):
            return kind
    named = re.search(r"-([0-9a-f]{8})\.pth$", path.name)
    if named and not digests[0].startswith(named[1]):
        raise ValueError(
            f"{path}: damaged or changed: by its name its SHA-256 starts with {named[1]}, but it is "
            f"{digests[0]}; download it again, or rename it and say by --values what it is"
        )
    if broken:  # only one kind has none
        return "torchvision-features"
    if "classifier.1" in layers:
        return "caffe"
    raise ValueError(
        f"{path}: has torchvision's names, and values of two kinds go by them. Say which: --values "
        "torchvision (its own, for RGB of 0 to 1, which is folded into conv1_1) or --values caffe (the "
        "original's, for BGR of 0 to 255, as in wkentaro's vgg16_from_caffe.pth)"
    )


def _finite(blobs: list[np.ndarray]) -> bool:
    return all(bool(np.isfinite(array).all()) for array in blobs)


def _left_out(broken: list[str]) -> list[str]:
    if not broken:
        return []
    return [
        f"left out {', '.join(broken)}: the file holds NaN there. torchvision's IMAGENET1K_FEATURES has "
        "convolutions only; no FCN can start from it as in the paper, which transplants fc6 and fc7"
    ]


def _fold(
    path: Path, layers: dict[str, list[np.ndarray]], pixels: folding.Pixels | None, keep_mean: bool
) -> list[str]:
    """Fold the input's convention into conv1_1, in place; returns what was done."""
    if pixels is None:
        return []
    mean = pixels.mean_bgr if keep_mean else MEAN_BGR
    if len(layers["conv1_1"]) != 2 or layers["conv1_1"][0].ndim != 4:
        raise ValueError(f"{path}: expected a weight of 4 axes and a bias in its first layer, features.0")
    weights, biases = layers["conv1_1"]
    layers["conv1_1"] = list(folding.fold(weights, biases, pixels, mean))
    scaled = f"mean {pixels.mean}, std {_short(pixels.std)} (R, G, B)"
    done = f"folded into conv1_1: RGB to BGR, 0..1 to 0..255, {scaled}"
    error = folding.padding_error(weights, pixels, mean)
    if keep_mean:
        subtract = ", ".join(f"{value:g}" for value in mean)
        return [done, f"exact everywhere, for images less B, G, R = {subtract}, and not Caffe's mean"]
    return [
        done,
        f"exact on the image; where a kernel reaches into the zero padding, conv1_1 differs by up to "
        f"{error:.2g} (it sees Caffe's mean colour there, not torchvision's)",
    ]


def _short(values: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(round(value, 6) for value in values)
