"""`debug_info`: mean absolute values of every blob as it is computed (Caffe: net.cpp *DebugInfo)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from .log import log

if TYPE_CHECKING:
    from .net import Net


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
