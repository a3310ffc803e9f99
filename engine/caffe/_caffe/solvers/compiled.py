"""Updates in one go over memory, by the threads of the fast path: the rules of `updates`.

They make the numbers that the rules make, but for the rounding of sums.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from ..machine import descent
from ..machine.simd import LANES, bits
from ..machine.workers import Job, Jobs, Piece, shared, workers
from . import updates

if TYPE_CHECKING:
    from ...proto.caffe_pb2 import SolverParameter

#: (solver, tensors, rate, decay, iteration): the second tensor, a gradient, is decayed by L2 and becomes the
#: update, which is subtracted from the first, the data; the others are the history. All are float32, of one
#: length, which is a multiple of LANES, on the host and without gaps.
_Update = Callable[["SolverParameter", Sequence[Tensor], float, float, int], Job]


#: Parameters that are updated with one rate: tensors, rate and decay.
Part = tuple[Sequence[Tensor], float, float]


class Steps:
    """Updates by one rule."""

    def __init__(self, rule: updates.Rule) -> None:
        self._update = _UPDATES[rule]
        self._jobs: Sequence[Job] = []  # of the last step
        self._ready = Jobs([])

    def take(self, param: SolverParameter, parts: Sequence[Part], iteration: int) -> None:
        """Update all parts."""
        jobs = [self._update(param, *part, iteration) for part in parts]
        if jobs != self._jobs:
            self._jobs, self._ready = jobs, Jobs(jobs)
        workers.do(self._ready)


def _sgd(param: SolverParameter, tensors: Sequence[Tensor], r: float, decay: float, it: int) -> Job:
    return _job(descent.momentum, descent.Momentum, tensors, (r, param.momentum, decay))


def _nesterov(param: SolverParameter, tensors: Sequence[Tensor], r: float, decay: float, it: int) -> Job:
    return _job(descent.ahead, descent.Momentum, tensors, (r, param.momentum, decay))


def _adagrad(param: SolverParameter, tensors: Sequence[Tensor], r: float, decay: float, it: int) -> Job:
    return _job(descent.squares, descent.Squares, tensors, (r, 1, 1, param.delta, decay))


def _rmsprop(param: SolverParameter, tensors: Sequence[Tensor], r: float, decay: float, it: int) -> Job:
    keep = param.rms_decay
    return _job(descent.squares, descent.Squares, tensors, (r, keep, 1 - keep, param.delta, decay))


def _adadelta(param: SolverParameter, tensors: Sequence[Tensor], r: float, decay: float, it: int) -> Job:
    keep = param.momentum
    return _job(descent.deltas, descent.Deltas, tensors, (r, keep, 1 - keep, param.delta, decay))


def _adam(param: SolverParameter, tensors: Sequence[Tensor], r: float, decay: float, it: int) -> Job:
    beta1, beta2 = param.momentum, param.momentum2
    numbers = (r * updates.correction(param, it), beta1, beta2, 1 - beta1, 1 - beta2, param.delta, decay)
    return _job(descent.moments, descent.Moments, tensors, numbers)


def _job(
    kernel: Piece, record: Callable[..., Sequence[int]], tensors: Sequence[Tensor], numbers: Sequence[float]
) -> Job:
    work = record(*(tensor.data_ptr() for tensor in tensors), *map(bits, numbers))
    return shared(kernel, work, tensors[0].numel() // LANES, LANES)


_UPDATES: dict[updates.Rule, _Update] = {
    updates.sgd: _sgd,
    updates.nesterov: _nesterov,
    updates.adagrad: _adagrad,
    updates.rmsprop: _rmsprop,
    updates.adadelta: _adadelta,
    updates.adam: _adam,
}
