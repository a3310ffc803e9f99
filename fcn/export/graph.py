"""What of a net is exported: layers that compute, over values that each have one name and one maker.

Made of what pycaffe offers: the message that `net.save` writes (filtered, upgraded, complete), `net.params`
and the shapes of `net.blobs`. So a BVLC Caffe's nets are exported as ours are.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from caffe.proto import caffe_pb2

from ..protocols import NetLike

#: Losses and measures: what stands before them is the output.
JUDGES = (
    "Accuracy",
    "ContrastiveLoss",
    "EuclideanLoss",
    "HDF5Output",
    "HingeLoss",
    "InfogainLoss",
    "MultinomialLogisticLoss",
    "SigmoidCrossEntropyLoss",
    "Silence",
    "SoftmaxWithLoss",
)


@dataclass(frozen=True)
class Layer:
    """One layer.

    Attributes:
        spec: its LayerParameter.
        bottoms, tops: names of values.
        rank: axes of its first bottom.
        arrays: its parameters, float32, in Caffe's order.
    """

    spec: Any
    bottoms: tuple[str, ...]
    tops: tuple[str, ...]
    rank: int
    arrays: tuple[np.ndarray, ...]

    @property
    def name(self) -> str:
        return str(self.spec.name)

    @property
    def type(self) -> str:
        return str(self.spec.type)

    def axis(self, axis: int) -> int:
        """An axis counted from the front."""
        return axis + self.rank if axis < 0 else axis

    def refuse(self, why: str) -> ValueError:
        """The error that this layer cannot be exported."""
        return ValueError(f"layer '{self.name}' ({self.type}): {why}")


@dataclass(frozen=True)
class Graph:
    """A net without its data layers and losses.

    Attributes:
        inputs: name -> shape, of the blobs that data layers fill.
        outputs: name -> shape, of the values that no layer reads.
        dropped: the names of the layers left out.
    """

    name: str
    layers: tuple[Layer, ...]
    inputs: Mapping[str, tuple[int, ...]]
    outputs: Mapping[str, tuple[int, ...]]
    dropped: tuple[str, ...]

    @property
    def any_size(self) -> bool:
        """Whether images may have any height and width: no layer counts the values of a map."""
        dense = any(layer.type in ("InnerProduct", "Reshape", "Parameter") for layer in self.layers)
        pooled = any(
            layer.type == "Pooling" and layer.spec.pooling_param.global_pooling for layer in self.layers
        )
        return pooled or not dense

    def last_reads(self) -> dict[str, list[str]]:
        """layer name -> the values that nothing reads after it, and that are no outputs."""
        last = {bottom: layer.name for layer in self.layers for bottom in layer.bottoms}
        found: dict[str, list[str]] = {}
        for value, name in last.items():
            if value not in self.outputs:
                found.setdefault(name, []).append(value)
        return found


def read(net: NetLike) -> Graph:
    """What of `net` is exported.

    Raises:
        ValueError: nothing would be left of it.
    """
    proto = message(net)
    layers: list[Layer] = []
    inputs: dict[str, tuple[int, ...]] = {}
    dropped: list[str] = []
    current: dict[str, str] = {}  # blob -> the value that it holds
    for spec in proto.layer:
        if not spec.bottom and spec.type != "Parameter":
            inputs.update({top: tuple(net.blobs[top].data.shape) for top in spec.top})
            current.update({top: top for top in spec.top})
            dropped += [] if spec.type == "Input" else [spec.name]
        elif spec.type in JUDGES or any(bottom not in current for bottom in spec.bottom):
            dropped.append(spec.name)
        elif spec.type == "Split":
            current.update(dict.fromkeys(spec.top, current[spec.bottom[0]]))
        else:
            layers.append(_layer(net, spec, current))
            current.update(zip(spec.top, layers[-1].tops))
    layers = list(_renamed(layers, {k: v for k, v in current.items() if k not in inputs}))
    read_values = {bottom for layer in layers for bottom in layer.bottoms}
    made = [(top, blob) for layer in layers for top, blob in zip(layer.tops, layer.spec.top)]
    outputs = {top: tuple(net.blobs[blob].data.shape) for top, blob in made if top not in read_values}
    if not outputs:
        raise ValueError(
            f"net '{proto.name}': nothing is left to export without data layers, losses and measures"
        )
    kept = {name: shape for name, shape in inputs.items() if name in read_values}
    return Graph(str(proto.name) or "net", tuple(layers), kept, outputs, tuple(dropped))


def message(net: NetLike) -> Any:
    """The NetParameter of a net as caffe runs it, without its weights."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "net.caffemodel")
        net.save(str(path))
        proto = caffe_pb2.NetParameter.FromString(path.read_bytes())
    for layer in proto.layer:
        layer.ClearField("blobs")
    return proto


def refuse_unknown(graph: Graph, known: Sequence[str], where: str) -> None:
    """Raise ValueError naming every layer of a type that is not `known`."""
    strange = [f"  layer '{layer.name}': {layer.type}" for layer in graph.layers if layer.type not in known]
    if strange:
        raise ValueError(
            "\n".join(
                [
                    f"no way to write these layers {where}:",
                    *strange,
                    f"known types: {', '.join(sorted(known))}. Rewrite the net with these, or end it before",
                ]
            )
        )


def _layer(net: NetLike, spec: Any, current: Mapping[str, str]) -> Layer:
    """A layer, its tops named by itself: several may write into one blob."""
    arrays = tuple(np.array(blob.data, np.float32) for blob in net.params.get(spec.name, ()))
    rank = net.blobs[spec.bottom[0]].data.ndim if spec.bottom else 0
    bottoms = tuple(current[bottom] for bottom in spec.bottom)
    return Layer(spec, bottoms, tuple(f"{top}.{spec.name}" for top in spec.top), rank, arrays)


def _renamed(layers: Sequence[Layer], current: Mapping[str, str]) -> Iterator[Layer]:
    """The layers, with the values that blobs hold in the end called as these."""
    names = {value: blob for blob, value in current.items() if value.startswith(f"{blob}.")}
    for layer in layers:
        bottoms, tops = (tuple(names.get(v, v) for v in values) for values in (layer.bottoms, layer.tops))
        yield replace(layer, bottoms=bottoms, tops=tops)
