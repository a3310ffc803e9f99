"""Which layers make a net's scores: what they compute is judged as it is, with no activation after it."""

from __future__ import annotations

from .plan import LayerPlan, Plan

ACTIVATIONS = frozenset({"BNLL", "Clip", "ELU", "PReLU", "ReLU", "Sigmoid", "Swish", "TanH"})


def scoring(plan: Plan) -> frozenset[int]:
    """The numbers of the layers between the last activation and an output or a loss.

    An activation after the last layer with parameters (a Sigmoid that ends the net) is itself among them.
    """
    learns = {parameter.layer for parameter in plan.parameters}
    weighed = {top for layer in plan.layers for top, w in zip(layer.tops, layer.loss_weights) if w}
    #: blobs of which scores are made, and whether parameters take part in that
    below = dict.fromkeys({*plan.outputs, *weighed}, False)
    found = set()
    for number in range(len(plan.layers) - 1, -1, -1):
        layer = plan.layers[number]
        tops = [top for top in layer.tops if top in below]
        if not tops:
            continue
        made = any(below[top] for top in tops)
        if made and layer.type in ACTIVATIONS:
            _leave(layer, below)
            continue
        found.add(number)
        for bottom in layer.bottoms:
            below[bottom] = made or number in learns or below.get(bottom, False)
    return frozenset(found)


def _leave(layer: LayerPlan, below: dict[int, bool]) -> None:
    """No further: what an activation reads is no score, also where it writes over it."""
    for top in layer.tops:
        below.pop(top, None)
