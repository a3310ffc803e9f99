"""A net and a solver as a notebook shows them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .. import markup
from ..blob import Blob
from ..graph.plan import Plan
from ..layer import Layer

HEAD = ("layer", "type", "bottoms", "tops", "parameters")
PHASES = ("TRAIN", "TEST")


def net_html(plan: Plan, layers: Sequence[Layer], blobs: Sequence[Blob]) -> str:
    """A row per layer: what it reads, what it makes and its parameters, with their shapes.

    Looks at shapes alone: nothing is computed, and no memory is taken.
    """
    rows = [_row(plan, number, layer, blobs) for number, layer in enumerate(layers)]
    learned = sum(math.prod(parameter.shape) for parameter in plan.learnable)
    title = (
        f"{plan.name or 'Net'}: {PHASES[plan.phase]}, {len(layers)} layers, {len(blobs)} blobs, "
        f"{learned:,} parameters"
    )
    return markup.table(title, HEAD, rows)


def _row(plan: Plan, number: int, layer: Layer, blobs: Sequence[Blob]) -> Sequence[str]:
    planned = plan.layers[number]
    bottoms = "\n".join(plan.blob_names[i] for i in planned.bottoms)
    tops = "\n".join(f"{plan.blob_names[i]} {blobs[i].dims}" for i in planned.tops)
    learned = "\n".join(f"{blob.dims}: {blob.count:,}" for blob in layer.blobs)
    return planned.name, planned.type, bottoms, tops, learned


def solver_html(kind: str, iteration: int, last: int, rate: float, net: str) -> str:
    """How far a solver is, above its net.

    Args:
        kind: its type.
        iteration, last: updates done, and how many there are to be.
        rate: of the next update.
        net: what `net_html` says of its net.
    """
    state = [("iteration", f"{iteration:,} of {last:,}"), ("learning rate", f"{rate:g}")]
    return markup.table(f"{kind} solver", ("", ""), state) + net
