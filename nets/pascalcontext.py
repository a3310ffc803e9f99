"""The PASCAL-Context nets: FCN-32s, 16s and 8s on 59 classes and background (CVPR 2015, arXiv, table 6)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from voc_layers.sets.pascalcontext import ContextFolder

from .blocks import Options, PythonData, Task
from .fcn import HEADS, fcn


def context(
    voc_dir: str = "data/pascal",
    context_dir: str = "data/pascal-context",
    *,
    train_split: str = "train",
    val_split: str = "val",
    seed: int = 1337,
) -> dict[str, PythonData]:
    """The data layers of the published nets. voc_dir: VOC 2010, or the folder that it is in."""
    folder = ContextFolder(Path(voc_dir), (), annotations=Path(context_dir))
    return {
        "train": PythonData.reading(folder, train_split, seed),
        "val": PythonData.reading(folder, val_split, seed),
    }


CONTEXT = Task("pascalcontext", context, ("voc_dir", "context_dir"))


def context_fcn(stride: int, form: str, options: Options) -> Any:
    """Stride 32, 16 or 8, as on PASCAL VOC."""
    return fcn(form, options, CONTEXT, HEADS[stride])
