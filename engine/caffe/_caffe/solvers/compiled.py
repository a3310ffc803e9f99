"""Updates in one go over memory, by the threads of the fast path: the rules of `updates` that are used most.

They make the numbers that the rules make, but for the rounding of sums.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from ..machine import descent
from ..machine.simd import LANES, bits
from ..machine.workers import Jobs, shared, workers
from . import updates

if TYPE_CHECKING:
    from ...proto.caffe_pb2 import SolverParameter

#: (solver, tensors, rate, decay, iteration): the second tensor, a gradient, is decayed by L2 and becomes the
#: update, which is subtracted from the first, the data; the others are the history. All are float32, of one
#: length, on the host and without gaps.
Update = Callable[["SolverParameter", Sequence[Tensor], float, float, int], None]


def _sgd(param: SolverParameter, tensors: Sequence[Tensor], r: float, decay: float, it: int) -> None:
    numbers = (r, param.momentum, decay)
    work = descent.Momentum(*_addresses(tensors), *map(bits, numbers))
    workers.do(Jobs([shared(descent.momentum, work, tensors[0].numel() // LANES, LANES)]))


def _adam(param: SolverParameter, tensors: Sequence[Tensor], r: float, decay: float, it: int) -> None:
    beta1, beta2 = param.momentum, param.momentum2
    numbers = (r * updates.correction(param, it), beta1, beta2, 1 - beta1, 1 - beta2, param.delta, decay)
    work = descent.Moments(*_addresses(tensors), *map(bits, numbers))
    workers.do(Jobs([shared(descent.moments, work, tensors[0].numel() // LANES, LANES)]))


def _addresses(tensors: Sequence[Tensor]) -> list[int]:
    return [tensor.data_ptr() for tensor in tensors]


#: By the rule. The length is a multiple of LANES.
UPDATES: dict[updates.Rule, Update] = {updates.sgd: _sgd, updates.adam: _adam}
