"""The SIFT Flow nets: one trunk, a head for semantic and one for geometric classes (CVPR 2015, table 5)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from voc_layers.facts import SIFTFLOW_GEOMETRY
from voc_layers.sets.siftflow import SiftFlowFolder

from .blocks import Labeling, Options, PythonData, Task
from .fcn import HEADS, fcn


def siftflow(
    siftflow_dir: str = "data/sift-flow",
    *,
    train_split: str = "trainval",
    val_split: str = "test",
    seed: int = 1337,
) -> dict[str, PythonData]:
    """The data layers of the published nets: of 'train' and of 'val'."""
    folder = SiftFlowFolder(Path(siftflow_dir), ())
    return {
        "train": PythonData.reading(folder, train_split, seed),
        "val": PythonData.reading(folder, val_split, seed),
    }


SEMANTIC = Labeling("sem", title="semantic")
GEOMETRIC = Labeling("geo", "loss_geo", len(SIFTFLOW_GEOMETRY), "geometric")
SIFTFLOW = Task("siftflow", siftflow, ("siftflow_dir",), labelings=(SEMANTIC, GEOMETRIC), size=(256, 256))


def siftflow_fcn(stride: int, form: str, options: Options) -> Any:
    """Stride 32, 16 or 8; both heads read the same trunk."""
    return fcn(form, options, SIFTFLOW, HEADS[stride])
