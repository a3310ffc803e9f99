"""A net's outputs as the log lines that log parsers read (Caffe: solver.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from ..log import log

if TYPE_CHECKING:
    from ..blob import Blob
    from ..graph.plan import Plan


def output_values(plan: Plan, blobs: Sequence[Blob]) -> list[torch.Tensor]:
    """The values of each output, flat, in double precision so that sums over many batches stay exact."""
    return [blobs[index].value.flatten().double() for index in plan.outputs]


def log_outputs(which: str, plan: Plan, values: Sequence[torch.Tensor]) -> None:
    """One line per element of every output; `which` is "Train" or "Test"."""
    number = 0
    for index, tensor in zip(plan.outputs, values):
        for value in tensor.tolist():
            weight = plan.blob_loss_weights[index]
            loss = f" (* {weight:g} = {weight * value:g} loss)" if weight else ""
            log.info("    %s net output #%d: %s = %g%s", which, number, plan.blob_names[index], value, loss)
            number += 1
