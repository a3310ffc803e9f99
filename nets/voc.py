"""The five PASCAL VOC nets: FCN-32s, 16s, 8s, 8s at-once, and FCN-AlexNet.

Every builder takes `form` ('train', 'val' or 'deploy') and `Options`, and returns a NetParameter.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from caffe import NetSpec
from caffe.net_spec import Top
from voc_layers.facts import MEAN_BGR
from voc_layers.folder import Folder, SbdFolder, VocFolder

from .blocks import Options, PythonData, begin, softmax_loss
from .heads import head8, head16, head32


def pascal(
    voc_dir: str = "data/pascal/VOC2011",
    sbd_dir: str | None = "data/sbdd/dataset",
    *,
    train_split: str = "train",
    val_split: str = "seg11valid",
    mean: tuple[float, ...] = MEAN_BGR,
    seed: int = 1337,
) -> dict[str, PythonData]:
    """The data layers of the published nets, for 'train' and 'val': labels of any value, as in the release.

    Trains on SBD's labels, or on the VOC folder's own when `sbd_dir` is None. `mean` is BGR, 0 to 255.
    """
    voc: Folder = VocFolder(Path(voc_dir), (), mean)
    train = voc if sbd_dir is None else SbdFolder(Path(sbd_dir), (), mean)
    return {
        "train": PythonData.reading(train, train_split, seed),
        "val": PythonData.reading(voc, val_split, seed),
    }


def fcn32s(form: str, options: Options) -> Any:
    """Stride 32: scores of the last layer only."""
    return fcn(form, head32, options)


def fcn16s(form: str, options: Options) -> Any:
    """Stride 16: one skip, from pool4."""
    return fcn(form, head16, options)


def fcn8s(form: str, options: Options) -> Any:
    """Stride 8: skips from pool4 and pool3."""
    return fcn(form, head8, options)


def fcn8s_atonce(form: str, options: Options) -> Any:
    """FCN-8s trained in one go: fixed scales keep the gradients of the three streams in balance."""
    return fcn(form, partial(head8, scales=(0.01, 0.0001)), options)


def fcn_alexnet(form: str, options: Options) -> Any:
    """Stride 32 over CaffeNet, trained on the mean loss; a 63 x 63 kernel makes the crop offset whole."""
    return fcn(form, partial(head32, kernel=63), options, normalize=True)


def fcn(
    form: str, head: Callable[[NetSpec, Top, int], None], options: Options, normalize: bool = False
) -> Any:
    """A fully convolutional net: data, trunk, `head`, loss. `normalize`: the model's own kind of loss."""
    n = begin(form, pascal() if options.data is None else options.data, options.size or (500, 500))
    head(n, options.arch.convolutional(n, drop=form != "deploy"), options.classes)
    if form != "deploy":
        own = options.normalize
        n.loss = softmax_loss(n.score, n.label, normalize if own is None else own)
    return n.to_proto()
