"""What a net logs: how it is built, and with `debug_info` what every blob holds (Caffe: net.cpp)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ..formats.blobproto import shape_text
from ..log import log

if TYPE_CHECKING:
    from ..net import Net

_FLOAT_BYTES = 4


def log_connections(net: Net, number: int) -> None:
    """Log what layer `number` reads and writes, before it is set up."""
    name, names = net._param.layer[number].name, net._wiring.blob_names
    bottoms, tops = net._wiring.bottom_ids[number], net._wiring.top_ids[number]
    log.info("Creating Layer %s", name)
    for blob in bottoms:
        log.info("%s <- %s", name, names[blob])
    for index, blob in enumerate(tops):
        log.info("%s -> %s%s", name, names[blob], " (in-place)" if blob in bottoms[index : index + 1] else "")
    log.info("Setting up %s", name)


def log_tops(net: Net, number: int, used: int) -> int:
    """Log the shapes and loss weights of the tops of layer `number`; `used` bytes were in use before it.

    Returns:
        The bytes in use with it.
    """
    for blob, weight in zip(net._top(number), net._loss_weights[number]):
        log.info("Top shape: %s", shape_text(blob.dims))
        if weight:
            log.info("    with loss weight %g", weight)
        used += blob.count * _FLOAT_BYTES
    log.info("Memory required for data: %d", used)
    return used


def log_plan(net: Net) -> None:
    """Log which layers run backward, from the last to the first, and the names of the outputs."""
    for name, needs in zip(reversed(net._layer_names), reversed(net._backward_plan.layers)):
        log.info("%s %s backward computation.", name, "needs" if needs else "does not need")
    for blob in net._outputs:
        log.info("This network produces output %s", net._blob_names[blob])


def _mean(tensor: torch.Tensor) -> float:
    return float(tensor.abs().sum()) / max(tensor.numel(), 1)


class ForwardTrace:
    """Logs each layer's tops and parameters after its forward."""

    def __init__(self, net: Net) -> None:
        self._net = net

    def layer(self, number: int) -> None:
        """Log layer `number`."""
        net, name = self._net, self._net._param.layer[number].name
        for blob_id in net._wiring.top_ids[number]:
            blob, top = net._blob_list[blob_id], net._wiring.blob_names[blob_id]
            log.info("    [Forward] Layer %s, top blob %s data: %g", name, top, _mean(blob.value))
        layer = net._layer_list[number]
        for index, blob in enumerate(layer.blobs):
            specs = layer.layer_param.param
            param = (specs[index].name if index < len(specs) else "") or str(index)
            log.info("    [Forward] Layer %s, param blob %s data: %g", name, param, _mean(blob.value))


class BackwardTrace:
    """Logs the diffs each layer's backward computed, and the norms over all parameters."""

    def __init__(self, net: Net) -> None:
        self._net = net

    def layer(self, number: int) -> None:
        """Log layer `number`."""
        net, name = self._net, self._net._param.layer[number].name
        flags = net._backward_plan.bottoms[number]
        for blob_id, flag in zip(net._wiring.bottom_ids[number], flags):
            if flag:
                blob, bottom = net._blob_list[blob_id], net._wiring.blob_names[blob_id]
                log.info("    [Backward] Layer %s, bottom blob %s diff: %g", name, bottom, _mean(blob.grad))
        for index, (blob, flag) in enumerate(
            zip(net._layer_list[number].blobs, net._backward_plan.params[number])
        ):
            if flag:
                log.info("    [Backward] Layer %s, param blob %d diff: %g", name, index, _mean(blob.grad))

    def totals(self) -> None:
        """Log the L1 and L2 norms over all learnable parameters, at ERROR severity as Caffe does."""
        data = [blob.value.reshape(-1) for _, blob in self._net._learnable]
        diff = [blob.grad.reshape(-1) for _, blob in self._net._learnable]
        norms = [sum(float(t.norm(p)) ** p for t in ts) ** (1 / p) for p in (1, 2) for ts in (data, diff)]
        log.error(
            "    [Backward] All net params (data, diff): L1 norm = (%g, %g); L2 norm = (%g, %g)", *norms
        )
