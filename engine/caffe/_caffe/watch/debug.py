"""What a net logs: how it is built, and with `debug_info` what every blob holds (Caffe: net.cpp)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import torch

from ..formats.blobproto import shape_text
from ..log import log

if TYPE_CHECKING:
    from ..blob import Blob
    from ..graph.plan import LayerPlan, Plan
    from ..layer import Layer

_FLOAT_BYTES = 4


def log_connections(plan: Plan, number: int) -> None:
    """Log what layer `number` reads and writes, before it is set up."""
    layer, names = plan.layers[number], plan.blob_names
    log.info("Creating layer %s", layer.name)  # Caffe's layer factory says it first, in this case
    log.info("Creating Layer %s", layer.name)
    for blob in layer.bottoms:
        log.info("%s <- %s", layer.name, names[blob])
    for index, blob in enumerate(layer.tops):
        in_place = " (in-place)" if blob in layer.bottoms[index : index + 1] else ""
        log.info("%s -> %s%s", layer.name, names[blob], in_place)
    log.info("Setting up %s", layer.name)


def log_tops(layer: LayerPlan, tops: Iterable[Blob], used: int) -> int:
    """Log the shapes and loss weights of a layer's tops; `used` bytes were in use before it.

    Returns:
        The bytes in use with it.
    """
    for blob, weight in zip(tops, layer.loss_weights):
        log.info("Top shape: %s", shape_text(blob.dims))
        if weight:
            log.info("    with loss weight %g", weight)
        used += blob.count * _FLOAT_BYTES
    log.info("Memory required for data: %d", used)
    return used


def log_plan(plan: Plan) -> None:
    """Log which layers run backward, from the last to the first, and the names of the outputs."""
    for layer in reversed(plan.layers):
        needs = "needs" if layer.runs_backward else "does not need"
        log.info("%s %s backward computation.", layer.name, needs)
    for blob in plan.outputs:
        log.info("This network produces output %s", plan.blob_names[blob])


def log_norms(parameters: Sequence[Blob]) -> None:
    """Log the L1 and L2 norms over all learnable parameters, at ERROR severity as Caffe does."""
    data = [blob.value.reshape(-1) for blob in parameters]
    diff = [blob.grad.reshape(-1) for blob in parameters]
    norms = [sum(float(t.norm(p)) ** p for t in ts) ** (1 / p) for p in (1, 2) for ts in (data, diff)]
    log.error("    [Backward] All net params (data, diff): L1 norm = (%g, %g); L2 norm = (%g, %g)", *norms)


class Trace:
    """Logs what each layer leaves: `forward` and `backward` are called with its number after it ran."""

    def __init__(self, plan: Plan, layers: Sequence[Layer], blobs: Sequence[Blob]) -> None:
        self._plan, self._layers, self._blobs = plan, layers, blobs

    def forward(self, number: int) -> None:
        """Log the data of the tops and the parameters of layer `number`."""
        layer, names = self._plan.layers[number], self._plan.blob_names
        for blob in layer.tops:
            mean = _mean(self._blobs[blob].value)
            log.info("    [Forward] Layer %s, top blob %s data: %g", layer.name, names[blob], mean)
        specs = layer.param.param
        for index, param in enumerate(self._layers[number].blobs):
            name = (specs[index].name if index < len(specs) else "") or str(index)
            log.info("    [Forward] Layer %s, param blob %s data: %g", layer.name, name, _mean(param.value))

    def backward(self, number: int) -> None:
        """Log the diffs that the backward of layer `number` computed, if it ran."""
        layer, names = self._plan.layers[number], self._plan.blob_names
        if not layer.runs_backward:
            return
        for blob, flag in zip(layer.bottoms, layer.propagate_down):
            if flag:
                mean = _mean(self._blobs[blob].grad)
                log.info("    [Backward] Layer %s, bottom blob %s diff: %g", layer.name, names[blob], mean)
        for index, (param, flag) in enumerate(zip(self._layers[number].blobs, layer.param_flags)):
            if flag:
                mean = _mean(param.grad)
                log.info("    [Backward] Layer %s, param blob %d diff: %g", layer.name, index, mean)


def _mean(tensor: torch.Tensor) -> float:
    return float(tensor.abs().sum()) / max(tensor.numel(), 1)
