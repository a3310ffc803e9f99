"""Caffe's seven learning-rate policies as pure functions (sgd_solver.cpp GetLearningRate).

Rounded to single precision where Caffe rounds: the end of a long poly run differs by more than a digit.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ..errors import SolverError
from ..formats import forks

if TYPE_CHECKING:
    from ...proto.caffe_pb2 import SolverParameter

_single = np.float32
POLICIES = ("fixed", "step", "exp", "inv", "multistep", "poly", "sigmoid")


def learning_rate(param: SolverParameter, iteration: int, current_step: int) -> tuple[float, int]:
    """The rate at `iteration` and the step the policy is in afterwards.

    `multistep` moves at most one step per evaluation, however many step values have passed.

    Raises:
        SolverError: no such policy, or a field it needs is missing.
    """
    policy = param.lr_policy
    if policy == "fixed":
        return float(_single(param.base_lr)), current_step
    if policy not in POLICIES:
        advice = forks.value_advice(policy)
        raise SolverError(
            f"Unknown learning rate policy: {policy or '(lr_policy is not set)'}"
            f"{f' ({advice})' if advice else ''}; known: {', '.join(POLICIES)}"
        )
    if policy in ("step", "sigmoid"):
        _require(param, "stepsize", param.stepsize > 0)
    if policy != "poly":
        _require(param, "gamma", param.gamma >= 0)
    if policy == "step":
        current_step = iteration // param.stepsize
    elif policy == "multistep":
        steps = param.stepvalue
        current_step += current_step < len(steps) and iteration >= steps[current_step]
    with np.errstate(all="ignore"):
        # A Python float base_lr takes the precision of a single factor, and a double keeps its own.
        return float(_single(param.base_lr * _factor(param, iteration, current_step))), current_step


def _factor(param: SolverParameter, iteration: int, current_step: int) -> float | np.float32:
    """What `base_lr` is multiplied by; Caffe raises to whole powers in double precision, else in single."""
    policy, gamma = param.lr_policy, param.gamma
    factor: float | np.float32 = 1.0
    if policy in ("step", "multistep"):
        factor = _pow(gamma, current_step)
    elif policy == "exp":
        factor = _pow(gamma, iteration)
    elif policy == "inv":
        factor = _single(_pow(1 + _single(gamma) * _single(iteration), -param.power))
    elif policy == "poly":
        factor = _single(_pow(1 - _single(iteration) / _single(param.max_iter), param.power))
    elif policy == "sigmoid":
        distance = _single(iteration) - _single(param.stepsize)
        factor = 1 / (1 + np.exp(-_single(gamma) * distance))
    return factor


def _pow(base: float, exponent: float) -> float:
    """C's pow: NaN and infinity where Python would make a complex number or raise."""
    try:
        return math.pow(base, exponent)
    except OverflowError:
        return math.inf
    except ValueError:
        return math.nan if base else math.inf


def _require(param: SolverParameter, field: str, holds: bool) -> None:
    if not holds:
        wanted = "non-negative" if field == "gamma" else "positive"
        raise SolverError(
            f'lr_policy "{param.lr_policy}" needs a {wanted} {field}, not {getattr(param, field):g}'
        )
