"""A net's outputs as the log lines that log parsers read (Caffe: solver.cpp)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..log import log
from ..net import Net


def output_values(net: Net) -> list[torch.Tensor]:
    """The values of each output, flat, in double precision so that sums over many batches stay exact."""
    return [net._blob_list[index].value.flatten().double() for index in net._outputs]


def log_outputs(which: str, net: Net, values: Sequence[torch.Tensor]) -> None:
    """One line per element of every output; `which` is "Train" or "Test"."""
    number = 0
    names, weights = net._blob_names, net._blob_loss_weights
    for index, tensor in zip(net._outputs, values):
        for value in tensor.tolist():
            weight = weights[index]
            loss = f" (* {weight:g} = {weight * value:g} loss)" if weight else ""
            log.info("    %s net output #%d: %s = %g%s", which, number, names[index], value, loss)
            number += 1
