"""Which layers run backward, and for which diffs (Caffe: net.cpp Init)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .plan import LayerPlan, Plan


def plan_backward(plan: Plan, forced: Sequence[Sequence[bool]] | None = None) -> Plan:
    """The plan with its backward pass: down for who could take part, up for who contributes to a loss.

    Args:
        plan: with its parameters.
        forced: with `force_backward`, the bottoms of each layer whose diff is computed in any case.
    """
    layers = _without_idle(_down(plan))
    if forced is not None:
        layers = [
            replace(
                layer,
                runs_backward=True,
                param_flags=(True,) * len(layer.param_flags),
                propagate_down=tuple(a or b for a, b in zip(layer.propagate_down, bottoms)),
            )
            for layer, bottoms in zip(layers, forced)
        ]
    return replace(plan, layers=tuple(layers))


def _down(plan: Plan) -> list[LayerPlan]:
    """Who has something to learn, or reads what depends on something learned."""
    learned = [False] * len(plan.blob_names)
    found = []
    for layer in plan.layers:
        below = tuple(learned[blob] for blob in layer.bottoms)
        runs = any(below) or any(layer.param_flags)
        found.append(replace(layer, runs_backward=runs, propagate_down=layer.propagate_down or below))
        for blob in layer.tops:
            learned[blob] = learned[blob] or runs
    return found


def _without_idle(layers: Sequence[LayerPlan]) -> list[LayerPlan]:
    """Who contributes to a loss, through tops whose diff somebody computes."""
    under_loss: set[int] = set()
    skipped: set[int] = set()
    found = []
    for layer in reversed(layers):
        contributes = any(layer.loss_weights) or any(top in under_loss for top in layer.tops)
        unasked = all(top in skipped for top in layer.tops)
        down = layer.propagate_down
        if not contributes or (unasked and layer.runs_backward):
            down = (False,) * len(down)
        if contributes:
            under_loss.update(layer.bottoms)
        skipped.update(blob for blob, flag in zip(layer.bottoms, down) if not flag)
        runs = layer.runs_backward and contributes and not unasked
        found.append(replace(layer, runs_backward=runs, propagate_down=down))
    return found[::-1]
