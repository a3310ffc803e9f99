"""The NYUDv2 nets: FCN-32s on colour, on HHA, and on both; early and late fusion (CVPR 2015, table 4).

HHA is what Gupta et al. make of a depth map: horizontal disparity, height above the ground, and the angle
with gravity.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from caffe import layers as L
from caffe import params as P
from voc_layers.sets.nyud import NyudFolder

from .blocks import Options, PythonData, Task, crop, score, upsample
from .fcn import fcn, start, whole
from .heads import head32
from .trunk import Stream

#: The first convolution of the net that reads colour and depth has four channels, and a name of its own.
WIDENED = {"conv1_1": "conv1_1_bgrd"}


def nyud(
    nyud_dir: str = "data/nyud",
    *,
    views: tuple[str, ...] = ("color",),
    train_split: str = "trainval",
    val_split: str = "test",
    seed: int = 1337,
) -> dict[str, PythonData]:
    """The data layers of the published nets: of 'train', which trains on both lists, and of 'val'."""
    folder = NyudFolder(Path(nyud_dir), (), views=views)
    return {
        "train": PythonData.reading(folder, train_split, seed),
        "val": PythonData.reading(folder, val_split, seed),
    }


def _task(views: tuple[str, ...], inputs: dict[str, int]) -> Task:
    return Task("nyud", partial(nyud, views=views), ("nyud_dir",), inputs, views, size=(425, 560))


COLOR = _task(("color",), {"data": 3})
HHA = _task(("hha",), {"data": 3})
COLOR_DEPTH = _task(("color", "depth"), {"color": 3, "depth": 1})
COLOR_HHA = _task(("color", "hha"), {"color": 3, "hha": 3})


def single(task: Task, form: str, options: Options) -> Any:
    """FCN-32s on colour, or on HHA."""
    return fcn(form, options, task, head32)


def early_fusion(form: str, options: Options) -> Any:
    """FCN-32s on colour and depth, as the four channels of one input."""
    n = start(form, options, COLOR_DEPTH)
    n.data = L.Concat(n.color, n.depth)
    top = options.arch.convolutional(n, form != "deploy", Stream(renamed=WIDENED))
    return whole(n, form, options, COLOR_DEPTH, partial(head32, n, top))


def late_fusion(form: str, options: Options) -> Any:
    """A trunk for colour and one for HHA, whose scores are averaged before they are upsampled."""
    n, scores = start(form, options, COLOR_HHA), []
    for view in COLOR_HHA.views:
        top = options.arch.convolutional(n, form != "deploy", Stream(view, suffix=view))
        n[f"score_fr{view}"] = score(top, options.classes)
        scores.append(n[f"score_fr{view}"])

    def head(classes: int, suffix: str = "") -> None:
        n.score_fused = L.Eltwise(*scores, operation=P.Eltwise.SUM, coeff=[0.5, 0.5])
        n.upscore = upsample(n.score_fused, classes, 32)
        n.score = crop(n.upscore, n.color)

    return whole(n, form, options, COLOR_HHA, head)
