"""What the outside may see of a running solver, and ask of it."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...proto import caffe_pb2


class SolverAction(enum.Enum):
    """What somebody outside (a signal) asks of a running solver."""

    NONE = 0
    STOP = 1
    SNAPSHOT = 2


class SolverParameter:
    """The few settings a running solver shows (pycaffe's `solver.param`)."""

    def __init__(self, message: caffe_pb2.SolverParameter) -> None:
        self._message = message

    @property
    def max_iter(self) -> int:
        """The iteration `solve` ends at."""
        return self._message.max_iter

    @property
    def display(self) -> int:
        """Iterations between loss lines; 0 is never."""
        return self._message.display

    @property
    def iter_size(self) -> int:
        """Forward and backward passes of an iteration."""
        return self._message.iter_size

    @property
    def layer_wise_reduce(self) -> bool:
        """What Caffe asks whether to reduce layer by layer; here gradients travel in buckets in any case."""
        return self._message.layer_wise_reduce

    @property
    def base_lr(self) -> float:
        """The base learning rate; a new value holds from the next iteration on."""
        return self._message.base_lr

    @base_lr.setter
    def base_lr(self, value: float) -> None:
        self._message.base_lr = value
