"""A case: one net, one size of image, all that the contestants are given, as files of one folder.

Imports nothing but NumPy: every contestant's interpreter reads it, that of a BVLC Caffe too.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import numpy as np

#: What a contestant does: takes an image (1 x 3 x H x W, float32), returns the net's last top, or the loss.
Run = Callable[[np.ndarray], np.ndarray]

INFERENCE, TRAINING = "inference", "training"
#: The settings of the training step: momentum and decay of the paper, a rate at which no pixel's loss gets
#: so large that Caffe cuts it off (-log of the least float32, 87.3).
RATE, MOMENTUM, DECAY = 1e-7, 0.9, 5e-4
#: How often what is timed runs for the result that is compared: a second loss shows the first update.
COMPARED = {INFERENCE: 1, TRAINING: 2}


@dataclass(frozen=True)
class Case:
    """The files of a case, and how many threads and which device compute it.

    Attributes:
        folder: where what belongs to the size lies; the weights lie in the folder above.
        name: for people: model and size.
        macs: multiply-adds of one forward, as the engine counts them.
        gpu: contestants that can, compute on the first CUDA device.
    """

    folder: Path
    name: str
    macs: int
    threads: int
    gpu: bool = False

    @classmethod
    def open(cls, folder: Path) -> Case:
        """The case that `save` wrote into `folder`."""
        stored = json.loads((folder / "case.json").read_text(encoding="utf-8"))
        return cls(**{**stored, "folder": folder})

    def save(self) -> None:
        """Write `case.json`, from which the contestants' processes read the case."""
        self.folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(asdict(self), default=str)
        (self.folder / "case.json").write_text(text, encoding="utf-8")

    @property
    def deploy(self) -> Path:
        """The net for inference, of one input `data`."""
        return self.folder / "deploy.prototxt"

    @property
    def train(self) -> Path:
        """The net for training, of the inputs `data` and `label`, ending in `loss`."""
        return self.folder / "train.prototxt"

    @property
    def solver(self) -> Path:
        """The solver of `train`."""
        return self.folder / "solver.prototxt"

    @property
    def caffemodel(self) -> Path:
        """The weights, for Caffe and for those who read its files."""
        return self.folder.parent / "weights.caffemodel"

    @property
    def arrays(self) -> Path:
        """The same weights as arrays: `<index>/<layer name>`."""
        return self.folder.parent / "weights.npz"

    def file(self, name: str) -> Path:
        """A file that a contestant makes for itself in `prepare`."""
        return self.folder / name

    def read(self, name: str) -> np.ndarray:
        """One of the case's arrays: `image`, `label`, and the float64 results `inference`, `training`."""
        return cast(np.ndarray, np.load(self.folder / f"{name}.npy"))

    def write(self, name: str, array: np.ndarray) -> None:
        """Keep an array that `read` finds."""
        np.save(self.folder / f"{name}.npy", array)
