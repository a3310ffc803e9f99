"""A plain PyTorch module of a Caffe net, made layer by layer from its prototxt: what the peers are given.

It is what a PyTorch user would write: modules of `torch.nn`, activations freed when nothing reads them any
more, batch normalisation and the scale behind it as one `BatchNorm2d`. Its layers are those of `fcn.export`,
which shares no code with the engine but the messages of caffe.proto, so it judges the engine as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from google.protobuf import text_format
from torch import nn

from caffe.proto import caffe_pb2
from fcn.export import settings
from fcn.export.graph import Layer
from fcn.export.torch_layers import MAKERS

Arrays = Sequence[np.ndarray]

#: Of every blob but those behind an InnerProduct, whose layers count from the front.
_AXES = 4


def read_net(path: Path) -> caffe_pb2.NetParameter:
    """The message of a net prototxt."""
    return text_format.Parse(path.read_text(encoding="utf-8"), caffe_pb2.NetParameter())


def read_arrays(path: Path) -> dict[str, list[np.ndarray]]:
    """layer name -> its parameters in Caffe's order, of an .npz file with the keys `<index>/<layer name>`."""
    found: dict[str, list[np.ndarray]] = {}
    with np.load(path) as file:
        for key in sorted(file.files):
            found.setdefault(key.split("/", 1)[1], []).append(file[key])
    return found


class Step(NamedTuple):
    """One module between named blobs; `done` are the blobs that nothing reads after it."""

    bottoms: tuple[str, ...]
    top: str
    done: tuple[str, ...]


class Twin(nn.Module):
    """The net `net` with the parameters `arrays` (layer name -> Caffe's blobs), in float32.

    `forward` takes the inputs in the order of the prototxt (1 x 3 x H x W; a training net takes labels of
    1 x 1 x H x W as well) and returns the last top: scores, probabilities or the loss. `multipliers` are the
    prototxt's learning rate and decay multipliers by the name of the parameter.

    Raises:
        ValueError: a layer type or a setting of a layer that no benchmarked net has.
    """

    def __init__(self, net: caffe_pb2.NetParameter, arrays: Mapping[str, Arrays]) -> None:
        super().__init__()
        self.inputs = [top for layer in net.layer if layer.type == "Input" for top in layer.top]
        self.layers = nn.ModuleList()
        self.multipliers: dict[str, tuple[float, float]] = {}
        steps: list[tuple[tuple[str, ...], str]] = []
        for layer in [layer for layer in net.layer if layer.type != "Input"]:
            before = self.layers[-1] if steps and steps[-1][1] == layer.bottom[0] else None
            if layer.type == "Scale" and isinstance(before, nn.BatchNorm2d):
                before.weight, before.bias = (nn.Parameter(torch.from_numpy(x)) for x in arrays[layer.name])
                steps[-1] = (steps[-1][0], layer.top[0])
                continue
            self.layers.append(_module(layer, arrays.get(layer.name, ())))
            for index, (name, _) in enumerate(self.layers[-1].named_parameters()):
                spec = layer.param[index] if index < len(layer.param) else caffe_pb2.ParamSpec()
                self.multipliers[f"layers.{len(steps)}.{name}"] = spec.lr_mult, spec.decay_mult
            steps.append((tuple(layer.bottom), layer.top[0]))
        self.steps = _with_ends(steps)

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        blobs = dict(zip(self.inputs, inputs, strict=True))
        for step, layer in zip(self.steps, self.layers, strict=True):
            blobs[step.top] = layer(*[blobs[name] for name in step.bottoms])
            for name in step.done:
                del blobs[name]
        return blobs[self.steps[-1].top]


def _with_ends(steps: Sequence[tuple[tuple[str, ...], str]]) -> list[Step]:
    """The steps, each with the blobs whose last reader it is (a blob written anew counts as another one)."""
    found: list[Step] = []
    read_later: set[str] = set()
    for bottoms, top in reversed(steps):
        read_later.discard(top)
        done = tuple(name for name in dict.fromkeys(bottoms) if name not in read_later and name != top)
        found.append(Step(bottoms, top, done))
        read_later |= set(bottoms)
    return found[::-1]


# -- one function per layer type ----------------------------------------------------------------------


def _module(layer: caffe_pb2.LayerParameter, arrays: Arrays) -> nn.Module:
    """The module that `fcn.export` makes of a layer too, but where a PyTorch user would write another."""
    makers = {**MAKERS, **_MAKERS}
    if layer.type not in makers:
        raise ValueError(f"layer '{layer.name}': no PyTorch module stands for the type {layer.type}")
    return makers[layer.type](Layer(layer, tuple(layer.bottom), tuple(layer.top), _AXES, tuple(arrays)))


def _batch_norm(layer: Layer) -> nn.Module:
    mean, variance, factor = (torch.from_numpy(array) for array in layer.arrays)
    module = nn.BatchNorm2d(len(mean), layer.spec.batch_norm_param.eps)
    module.running_mean, module.running_var = mean / factor, variance / factor
    return module


class _Crop(nn.Module):
    """Height and width of the second blob out of the first: constants where the module is traced."""

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        axis, offsets = settings.crop(layer)
        if axis != 2:
            raise layer.refuse("only height and width are cropped here")
        self.top, self.left = offsets

    def forward(self, x: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        height, width = int(like.shape[2]), int(like.shape[3])
        return x[:, :, self.top : self.top + height, self.left : self.left + width]


class _SoftmaxLoss(nn.Module):
    def __init__(self, layer: Layer) -> None:
        super().__init__()
        p = layer.spec.loss_param
        ignored = p.ignore_label if p.HasField("ignore_label") else -100
        self.loss = nn.CrossEntropyLoss(ignore_index=ignored, reduction="mean" if p.normalize else "sum")

    def forward(self, scores: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        loss: torch.Tensor = self.loss(scores, label[:, 0].long())
        return loss


_MAKERS: Mapping[str, Callable[[Layer], nn.Module]] = {
    "BatchNorm": _batch_norm,
    "Crop": _Crop,
    "ReLU": lambda layer: nn.ReLU(inplace=layer.tops == layer.bottoms),
    "SoftmaxWithLoss": _SoftmaxLoss,
}
