"""Plan: what a net is, decided before it runs. The only description of a net; whatever looks at one reads it.

Blobs, layers and parameters are named by their number: blob `i` is the i-th that is made, layer `i` the i-th
that runs. A net makes one `Blob` per blob name and one `Layer` per `LayerPlan`, in these orders, so that
plan, blobs and layers together say everything. Nothing here is a tensor.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from ..errors import NetError

if TYPE_CHECKING:
    from ...proto.caffe_pb2 import LayerParameter
    from ..layer import Layer


@dataclass(frozen=True)
class LayerPlan:
    """One layer: its settings, the blobs it reads and writes, its part in a backward pass.

    A layer works in place where a top has the number of a bottom. `param` is what a caffemodel keeps of
    the layer: nobody changes it.
    """

    param: LayerParameter
    kind: type[Layer]  #: the class that `param.type` stands for
    bottoms: tuple[int, ...]  #: the blobs it reads
    tops: tuple[int, ...]  #: the blobs it writes
    loss_weights: tuple[float, ...]  #: one per top; 0 where the top is no part of the loss
    propagate_down: tuple[bool, ...]  #: one per bottom: whether backward computes its diff
    param_flags: tuple[bool, ...]  #: one per parameter: whether backward adds to its diff
    runs_backward: bool = False  #: whether it runs in a backward pass at all

    @property
    def name(self) -> str:
        """The layer's name."""
        return self.param.name

    @property
    def type(self) -> str:
        """The layer's type, as a prototxt has it."""
        return self.param.type


@dataclass(frozen=True)
class Parameter:
    """One parameter of one layer: blob `index` of the layer's own."""

    layer: int
    index: int
    shape: tuple[int, ...]
    name: str  #: under which layers share it; empty for most
    owner: int | None  #: the number, among all parameters, of the one whose memory this one uses
    lr_mult: float  #: the learning rate is multiplied by it
    decay_mult: float  #: the weight decay is multiplied by it


@dataclass(frozen=True)
class Plan:
    """A net: its layers in the order they run, over numbered blobs.

    Every blob is written by one layer, and by those that work in place on it, before anybody reads it;
    automatic splits are layers like others, so that each state of a blob has one reader.
    """

    name: str
    phase: int  #: 0 TRAIN, 1 TEST
    layers: tuple[LayerPlan, ...]
    blob_names: tuple[str, ...]  #: in the order of making
    inputs: tuple[int, ...]  #: the tops of Input layers
    outputs: tuple[int, ...]  #: the blobs nobody reads, by the byte order of their names
    parameters: tuple[Parameter, ...] = ()  #: all of them, in the order of layers

    @cached_property
    def learnable(self) -> tuple[Parameter, ...]:
        """The parameters that own their memory: what a solver updates and holds history for."""
        return tuple(parameter for parameter in self.parameters if parameter.owner is None)

    def check_range(self, lowest: int, highest: int) -> None:
        """Raise NetError unless there are layers of the numbers `lowest` and `highest`."""
        if not self.layers:
            raise NetError("this net has no layers: is its file empty, or every layer of another phase?")
        if lowest < 0 or highest >= len(self.layers):
            raise NetError(f"layers {lowest} to {highest}: this net has {len(self.layers)} layer(s)")

    @cached_property
    def blob_loss_weights(self) -> tuple[float, ...]:
        """One per blob: the loss weight that the last layer to write it gives it, 0 too."""
        found = [0.0] * len(self.blob_names)
        for layer in self.layers:
            for blob, weight in zip(layer.tops, layer.loss_weights):
                found[blob] = weight
        return tuple(found)
