"""The five PASCAL VOC nets: FCN-32s, 16s, 8s, 8s at-once, and FCN-AlexNet.

Every builder takes ``form`` ('train', 'val' or 'deploy') and returns a NetParameter:

* ``data``: form -> PythonData, see ``pascal``;
* ``classes``: score channels; ``arch``: the trunk's widths; ``size``: (H, W) of the deploy input;
* ``normalize``: the loss is a mean over valid pixels instead of a sum.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from caffe import NetSpec

from .alexnet import CAFFENET, AlexNet
from .blocks import PythonData, begin, softmax_loss
from .heads import head8, head16, head32
from .vgg import VGG, VGG16

MEAN_BGR = (104.00699, 116.66877, 122.67892)


def pascal(
    voc_dir: str = "data/pascal/VOC2011",
    sbd_dir: str | None = "data/sbdd/dataset",
    *,
    train_split: str = "train",
    val_split: str = "seg11valid",
    mean: tuple[float, ...] = MEAN_BGR,
    seed: int = 1337,
    **extra: Any,
) -> dict[str, PythonData]:
    """The data layers of a set in VOC layout, for 'train' and 'val'.

    Trains on SBD's labels, or on the VOC folder's own when ``sbd_dir`` is None. ``mean`` is BGR, 0 to 255;
    ``extra`` are further keys of ``param_str`` (``classes``, ``randomize``, ...).
    """
    common = {"mean": tuple(mean), "seed": seed, **extra}
    voc = {"voc_dir": voc_dir, **common}
    if sbd_dir is None:
        train = PythonData("VOCSegDataLayer", {**voc, "split": train_split})
    else:
        train = PythonData("SBDDSegDataLayer", {"sbdd_dir": sbd_dir, "split": train_split, **common})
    return {"train": train, "val": PythonData("VOCSegDataLayer", {**voc, "split": val_split})}


def fcn32s(form: str, **options: Any) -> Any:
    """Stride 32: scores of the last layer only."""
    return fcn(form, head32, **options)


def fcn16s(form: str, **options: Any) -> Any:
    """Stride 16: one skip, from pool4."""
    return fcn(form, head16, **options)


def fcn8s(form: str, **options: Any) -> Any:
    """Stride 8: skips from pool4 and pool3."""
    return fcn(form, head8, **options)


def fcn8s_atonce(form: str, **options: Any) -> Any:
    """FCN-8s trained in one go: fixed scales keep the gradients of the three streams in balance."""
    return fcn(form, partial(head8, scales=(0.01, 0.0001)), **options)


def fcn_alexnet(form: str, **options: Any) -> Any:
    """Stride 32 over CaffeNet, trained on the mean loss; a 63 x 63 kernel makes the crop offset whole."""
    return fcn(form, partial(head32, kernel=63), **{"arch": CAFFENET, "normalize": True, **options})


def fcn(
    form: str,
    head: Callable[[NetSpec, Any, int], None],
    data: Mapping[str, PythonData] | None = None,
    classes: int = 21,
    arch: VGG | AlexNet = VGG16,
    normalize: bool = False,
    size: tuple[int, int] = (500, 500),
) -> Any:
    """A fully convolutional net: data, trunk, ``head``, loss. See the top of this module for the options."""
    n = begin(form, pascal() if data is None else data, size)
    head(n, arch.convolutional(n, drop=form != "deploy"), classes)
    if form != "deploy":
        n.loss = softmax_loss(n.score, n.label, normalize)
    return n.to_proto()
