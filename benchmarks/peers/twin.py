"""A plain PyTorch module of a Caffe net, made layer by layer from its prototxt: what the peers are given.

It is what a PyTorch user would write: modules of `torch.nn`, activations freed when nothing reads them any
more, batch normalisation and the scale behind it as one `BatchNorm2d`. It shares no code with the engine
but the messages of caffe.proto, so it judges the engine as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from google.protobuf import text_format
from torch import nn

from caffe.proto import caffe_pb2

Arrays = Sequence[np.ndarray]


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
                before.weight, before.bias = _parameters(arrays[layer.name])
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
    if layer.type not in _MAKERS:
        raise ValueError(f"layer '{layer.name}': no PyTorch module stands for the type {layer.type}")
    return _MAKERS[layer.type](layer, arrays)


def _parameters(arrays: Arrays) -> list[nn.Parameter]:
    return [nn.Parameter(torch.from_numpy(np.ascontiguousarray(array))) for array in arrays]


def _filled(module: nn.Module, arrays: Arrays) -> nn.Module:
    """The module with its weight (and bias) in place; made on `meta`, so that nothing is drawn first."""
    for name, value in zip(("weight", "bias"), _parameters(arrays)):
        setattr(module, name, value)
    return module


def _convolution(layer: caffe_pb2.LayerParameter, arrays: Arrays) -> nn.Module:
    p = layer.convolution_param
    kernel = p.kernel_size[0] if p.kernel_size else (p.kernel_h, p.kernel_w)
    options: dict[str, Any] = {
        "stride": p.stride[0] if p.stride else 1,
        "padding": p.pad[0] if p.pad else 0,
        "dilation": p.dilation[0] if p.dilation else 1,
        "groups": p.group,
        "bias": p.bias_term,
        "device": "meta",
    }
    if layer.type == "Deconvolution":
        channels = arrays[0].shape[0]
        return _filled(nn.ConvTranspose2d(channels, p.num_output, kernel, **options), arrays)
    channels = arrays[0].shape[1] * p.group
    return _filled(nn.Conv2d(channels, p.num_output, kernel, **options), arrays)


def _inner_product(layer: caffe_pb2.LayerParameter, arrays: Arrays) -> nn.Module:
    outputs, inputs = arrays[0].shape
    dense = nn.Linear(inputs, outputs, bias=layer.inner_product_param.bias_term, device="meta")
    return nn.Sequential(nn.Flatten(), _filled(dense, arrays))


def _pooling(layer: caffe_pb2.LayerParameter, arrays: Arrays) -> nn.Module:
    p = layer.pooling_param
    average = p.pool == p.AVE
    if p.global_pooling:
        return nn.AdaptiveAvgPool2d(1) if average else nn.AdaptiveMaxPool2d(1)
    if p.stride > p.kernel_size:
        raise ValueError(f"layer '{layer.name}': Caffe may pool where no image is, PyTorch never does")
    kind = nn.AvgPool2d if average else nn.MaxPool2d
    return kind(p.kernel_size, p.stride, p.pad, ceil_mode=p.round_mode == p.CEIL)


def _lrn(layer: caffe_pb2.LayerParameter, arrays: Arrays) -> nn.Module:
    p = layer.lrn_param
    if p.norm_region != p.ACROSS_CHANNELS:
        raise ValueError(f"layer '{layer.name}': LRN within channels has no PyTorch module")
    return nn.LocalResponseNorm(p.local_size, p.alpha, p.beta, p.k)


def _batch_norm(layer: caffe_pb2.LayerParameter, arrays: Arrays) -> nn.Module:
    mean, variance, factor = (torch.from_numpy(array) for array in arrays)
    module = nn.BatchNorm2d(len(mean), layer.batch_norm_param.eps)
    module.running_mean, module.running_var = mean / factor, variance / factor
    return module


class _Scale(nn.Module):
    """A factor (and a bias) per channel."""

    def __init__(self, arrays: Arrays) -> None:
        super().__init__()
        self.values = nn.ParameterList(_parameters(arrays))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x * self.values[0].view(-1, 1, 1)
        return x + self.values[1].view(-1, 1, 1) if len(self.values) > 1 else x


class _Concat(nn.Module):
    def __init__(self, axis: int) -> None:
        super().__init__()
        self.axis = axis

    def forward(self, *parts: torch.Tensor) -> torch.Tensor:
        return torch.cat(parts, self.axis)


class _Sum(nn.Module):
    def forward(self, first: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
        for other in others:
            first = first + other
        return first


def _eltwise(layer: caffe_pb2.LayerParameter, arrays: Arrays) -> nn.Module:
    p = layer.eltwise_param
    if p.operation != p.SUM or any(c != 1 for c in p.coeff):
        raise ValueError(f"layer '{layer.name}': of Eltwise only plain sums are written here")
    return _Sum()


class _Crop(nn.Module):
    """Height and width of the second blob out of the first, from the offsets on."""

    def __init__(self, offsets: Sequence[int]) -> None:
        super().__init__()
        self.top, self.left = offsets[0], offsets[-1]

    def forward(self, x: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        height, width = int(like.shape[2]), int(like.shape[3])
        return x[:, :, self.top : self.top + height, self.left : self.left + width]


def _crop(layer: caffe_pb2.LayerParameter, arrays: Arrays) -> nn.Module:
    if layer.crop_param.axis != 2:
        raise ValueError(f"layer '{layer.name}': only height and width are cropped here")
    return _Crop(layer.crop_param.offset or (0,))


class _SoftmaxLoss(nn.Module):
    def __init__(self, ignored: int, mean: bool) -> None:
        super().__init__()
        self.loss = nn.CrossEntropyLoss(ignore_index=ignored, reduction="mean" if mean else "sum")

    def forward(self, scores: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        loss: torch.Tensor = self.loss(scores, label[:, 0].long())
        return loss


def _softmax_loss(layer: caffe_pb2.LayerParameter, arrays: Arrays) -> nn.Module:
    p = layer.loss_param
    return _SoftmaxLoss(p.ignore_label if p.HasField("ignore_label") else -100, p.normalize)


_MAKERS: Mapping[str, Callable[[caffe_pb2.LayerParameter, Arrays], nn.Module]] = {
    "BatchNorm": _batch_norm,
    "Concat": lambda layer, arrays: _Concat(layer.concat_param.axis),
    "Convolution": _convolution,
    "Crop": _crop,
    "Deconvolution": _convolution,
    "Dropout": lambda layer, arrays: nn.Dropout(layer.dropout_param.dropout_ratio),
    "Eltwise": _eltwise,
    "InnerProduct": _inner_product,
    "LRN": _lrn,
    "Pooling": _pooling,
    "ReLU": lambda layer, arrays: nn.ReLU(inplace=layer.top[0] == layer.bottom[0]),
    "Scale": lambda layer, arrays: _Scale(arrays),
    "Softmax": lambda layer, arrays: nn.Softmax(layer.softmax_param.axis),
    "SoftmaxWithLoss": _softmax_loss,
}
