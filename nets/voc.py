"""The PASCAL VOC nets: FCN-32s, 16s, 8s, 8s at-once, 32s fixed, FCN-AlexNet and FCN-GoogLeNet.

Every builder takes `form` ('train', 'val' or 'deploy') and `Options`, and returns a NetParameter.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from voc_layers.facts import MEAN_BGR
from voc_layers.folder import Folder, SbdFolder, VocFolder

from .blocks import Options, PythonData, Task
from .fcn import HEADS, fcn, frozen
from .heads import head8, head32


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


VOC = Task("voc", pascal, ("voc_dir", "sbd_dir"))


def voc_fcn(stride: int, form: str, options: Options) -> Any:
    """Stride 32, 16 or 8: scores of the last layer; with a skip from pool4; with one from pool3 too."""
    return fcn(form, options, VOC, HEADS[stride])


def fcn8s_atonce(form: str, options: Options) -> Any:
    """FCN-8s trained in one go: fixed scales keep the gradients of the three streams in balance."""
    return fcn(form, options, VOC, partial(head8, scales=(0.01, 0.0001)))


def fcn32s_fixed(form: str, options: Options) -> Any:
    """FCN-32s of which only the last layer learns (table 2 of the conference paper)."""
    return frozen(voc_fcn(32, form, options), learning="score_fr")


def fcn_alexnet(form: str, options: Options) -> Any:
    """Stride 32 over CaffeNet, trained on the mean loss; a 63 x 63 kernel makes the crop offset whole."""
    return fcn(form, options, VOC, partial(head32, kernel=63), normalize=True)


def fcn_googlenet(form: str, options: Options) -> Any:
    """Stride 32 over GoogLeNet, trained on the mean loss. The release has no such net: this one is ours."""
    head = partial(head32, kernel=63, offset=options.arch.overhang)
    return fcn(form, options, VOC, head, normalize=True)
