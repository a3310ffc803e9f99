"""The six update rules: a gradient becomes an update, and history changes, both in place (sgd_solvers.hpp).

Every rule gets the gradient `g` (already averaged over iter_size and decayed), the local rate `r`, its
history tensors and the iteration number; it makes `g` the update that is subtracted from the weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch

from ..memory import scalar

if TYPE_CHECKING:
    from ...proto.caffe_pb2 import SolverParameter

Tensor = torch.Tensor
Rule = Callable[["SolverParameter", Tensor, float, Sequence[Tensor], int], None]


def sgd(param: SolverParameter, g: Tensor, r: float, history: Sequence[Tensor], it: int) -> None:
    """h = momentum h + r g; the rate is inside the momentum buffer."""
    (h,) = history
    h.mul_(scalar(param.momentum, h.dtype)).add_(g, alpha=r)
    g.copy_(h)


def nesterov(param: SolverParameter, g: Tensor, r: float, history: Sequence[Tensor], it: int) -> None:
    """h' = momentum h + r g; update (1 + momentum) h' - momentum h."""
    (h,) = history
    previous = h.clone()
    h.mul_(scalar(param.momentum, h.dtype)).add_(g, alpha=r)
    torch.mul(h, 1 + param.momentum, out=g).sub_(previous, alpha=param.momentum)


def adagrad(param: SolverParameter, g: Tensor, r: float, history: Sequence[Tensor], it: int) -> None:
    """h += g^2; update r g / (sqrt h + delta)."""
    (h,) = history
    h.addcmul_(g, g)
    g.mul_(r).div_(h.sqrt().add_(param.delta))


def rmsprop(param: SolverParameter, g: Tensor, r: float, history: Sequence[Tensor], it: int) -> None:
    """h = decay h + (1 - decay) g^2; update r g / (sqrt h + delta)."""
    (h,) = history
    h.mul_(param.rms_decay).addcmul_(g, g, value=1 - param.rms_decay)
    g.mul_(r).div_(h.sqrt().add_(param.delta))


def adadelta(param: SolverParameter, g: Tensor, r: float, history: Sequence[Tensor], it: int) -> None:
    """h = m h + (1 - m) g^2; v = g sqrt((k + delta) / (h + delta)); k = m k + (1 - m) v^2; update r v."""
    h, k = history
    m, delta = param.momentum, param.delta
    h.mul_(m).addcmul_(g, g, value=1 - m)
    g.mul_((k + delta).div_(h + delta).sqrt_())
    k.mul_(m).addcmul_(g, g, value=1 - m)
    g.mul_(r)


def adam(param: SolverParameter, g: Tensor, r: float, history: Sequence[Tensor], it: int) -> None:
    """Adam with the bias correction folded into the rate and epsilon outside of it."""
    m, v = history
    beta1, beta2 = param.momentum, param.momentum2
    m.mul_(beta1).add_(g, alpha=1 - beta1)
    v.mul_(beta2).addcmul_(g, g, value=1 - beta2)
    torch.div(m, v.sqrt().add_(param.delta), out=g).mul_(r * correction(param, it))


def correction(param: SolverParameter, it: int) -> float:
    """What Adam's rate is multiplied by, since both averages begin at zero."""
    return math.sqrt(1 - param.momentum2 ** (it + 1)) / (1 - param.momentum ** (it + 1))
