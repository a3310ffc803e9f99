"""A net as a model of ONNX. Imported only by what needs onnx, see `fcn.export.formats`."""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import TensorProto, helper

from . import graph
from .graph import Graph
from .onnx_layers import MAKERS, Writer

#: The version of the operators: old enough for the converters of other frameworks.
OPSET = 17
#: What protobuf, and so a file of ONNX, can hold.
_LARGEST = 2**31 - 2**20


def write(net: Graph, path: Path) -> None:
    """Write `net` as ONNX; height, width and number of images stay open where the net leaves them open.

    Raises:
        ValueError: layers that cannot be written, or weights of more than 2 GB.
    """
    graph.refuse_unknown(net, list(MAKERS), "as ONNX")
    size = sum(array.nbytes for layer in net.layers for array in layer.arrays)
    if size > _LARGEST:
        raise ValueError(f"{path}: {size / 2**30:.1f} GB of weights, and a file of ONNX holds less than 2 GB")
    writers = [Writer(layer) for layer in net.layers]
    for writer in writers:
        MAKERS[writer.layer.type](writer, *writer.layer.bottoms)
    tensors = {t.name: t for writer in writers for t in writer.initializers}
    body = helper.make_graph(
        [node for writer in writers for node in writer.nodes],
        net.name,
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, _open(net, s)) for n, s in net.inputs.items()],
        [
            helper.make_tensor_value_info(n, TensorProto.FLOAT, [None] * len(s))
            for n, s in net.outputs.items()
        ],
        list(tensors.values()),
        doc_string="images are BGR, 0 to 255, with the mean of the training data subtracted",
    )
    versions = {"opset_imports": [helper.make_opsetid("", OPSET)], "ir_version": 8}
    model = helper.make_model(body, producer_name="caffe-fcn", **versions)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def _open(net: Graph, shape: tuple[int, ...]) -> list[int | str]:
    """The shape of an input, with names where any size will do."""
    if len(shape) != 4 or not net.any_size:
        return list(shape)
    return ["images", shape[1], "height", "width"]
