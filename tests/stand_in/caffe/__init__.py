"""A second package named `caffe`, as small as the toolkit lets it be.

It is not ours and has no engine: nets are lists of layer names, a net is its dictionaries. Whatever the
toolkit takes from `caffe` beyond these public names of pycaffe fails here.
"""

from __future__ import annotations

import numpy as np

from . import coord_map, io
from .net_spec import NetSpec, layers, params, to_proto
from .proto.caffe_pb2 import TEST, TRAIN

__all__ = ["Layer", "Net", "NetSpec", "SGDSolver", "TEST", "TRAIN", "coord_map", "get_solver", "io", "layers",
           "params", "set_device", "set_mode_cpu", "set_mode_gpu", "set_random_seed", "to_proto"]  # fmt: skip


class Blob:
    def __init__(self, *shape: int) -> None:
        self.reshape(*shape)

    def reshape(self, *shape: int) -> None:
        self.data, self.diff = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        self.shape = shape

    @property
    def channels(self) -> int:
        return self.shape[1]


class Layer:
    """Base of Python layers."""


class Net:
    """Blobs and parameters by name; `forward` computes nothing."""

    def __init__(self, blobs: dict[str, tuple], params: dict[str, list[tuple]]) -> None:
        self.blobs = {name: Blob(*shape) for name, shape in blobs.items()}
        self.params = {name: [Blob(*shape) for shape in shapes] for name, shapes in params.items()}

    def forward(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        return {name: blob.data for name, blob in self.blobs.items()}


class SGDSolver:
    """Exists."""


get_solver = SGDSolver


def set_mode_cpu() -> None:
    """There is nothing else."""


def set_mode_gpu() -> None:
    raise RuntimeError("this caffe has no GPU")


def set_device(index: int) -> None:
    raise RuntimeError("this caffe has no GPU")


def set_random_seed(seed: int) -> None:
    """There is no randomness."""
