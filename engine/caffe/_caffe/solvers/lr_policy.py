"""Caffe's seven learning-rate policies as pure functions (sgd_solver.cpp GetLearningRate)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..errors import SolverError

if TYPE_CHECKING:
    from ...proto.caffe_pb2 import SolverParameter

POLICIES = ("fixed", "step", "exp", "inv", "multistep", "poly", "sigmoid")


def learning_rate(param: SolverParameter, iteration: int, current_step: int) -> tuple[float, int]:
    """The rate at `iteration` and the step the policy is in afterwards.

    `multistep` moves at most one step per evaluation, however many step values have passed.

    Raises:
        SolverError: no such policy, or a field it needs is missing.
    """
    policy, base, gamma = param.lr_policy, param.base_lr, param.gamma
    if policy == "fixed":
        return base, current_step
    if policy == "step":
        _require(param, "stepsize", param.stepsize > 0)
        _require(param, "gamma", gamma >= 0)
        current_step = iteration // param.stepsize
        return base * gamma**current_step, current_step
    if policy == "exp":
        return base * gamma**iteration, current_step
    if policy == "inv":
        return base * _pow(1 + gamma * iteration, -param.power), current_step
    if policy == "multistep":
        steps = param.stepvalue
        if current_step < len(steps) and iteration >= steps[current_step]:
            current_step += 1
        return base * gamma**current_step, current_step
    if policy == "poly":
        _require(param, "max_iter", param.max_iter > 0)
        return base * _pow(1 - iteration / param.max_iter, param.power), current_step
    if policy == "sigmoid":
        _require(param, "stepsize", param.stepsize > 0)
        _require(param, "gamma", gamma >= 0)
        return base / (1 + math.exp(-gamma * (iteration - param.stepsize))), current_step
    raise SolverError(
        f"Unknown learning rate policy: {policy or '(lr_policy is not set)'}; known: {', '.join(POLICIES)}"
    )


def _pow(base: float, exponent: float) -> float:
    """C's pow: NaN and infinity where Python would make a complex number or raise."""
    try:
        return math.pow(base, exponent)
    except ValueError:
        return math.nan if base else math.inf


def _require(param: SolverParameter, field: str, holds: bool) -> None:
    if not holds:
        wanted = "non-negative" if field == "gamma" else "positive"
        raise SolverError(
            f'lr_policy "{param.lr_policy}" needs a {wanted} {field}, not {getattr(param, field):g}'
        )
