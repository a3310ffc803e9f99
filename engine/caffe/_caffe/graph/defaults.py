"""What a net fills in where the text of a layer says nothing; a caffemodel keeps it (Caffe: net.cpp Init)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...proto.caffe_pb2 import LayerParameter

if TYPE_CHECKING:
    from ...proto.caffe_pb2 import Phase
    from ..layer import Layer


def with_defaults(layer: LayerParameter, kind: type[Layer], phase: Phase) -> LayerParameter:
    """The layer with the net's phase, loss weight 1 if it is a loss, and the param specs of its class.

    Returns:
        A new message.
    """
    result = LayerParameter()
    result.CopyFrom(layer)
    if not layer.HasField("phase"):
        result.phase = phase
    if kind.is_loss and not layer.loss_weight:
        result.loss_weight.append(1.0)
    result.param.extend(kind.param_specs[len(layer.param) :])
    return result
