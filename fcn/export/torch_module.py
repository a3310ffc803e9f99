"""A net as a `torch.nn.Module`. Imported only by what needs torch, see `fcn.export.to_torch`."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from . import graph
from .graph import Graph, Layer
from .torch_layers import MAKERS


class CaffeModule(nn.Module):
    """A net of Caffe, its layers as modules under their names.

    `forward` takes the inputs in their order (images: N x 3 x H x W, BGR, mean subtracted, of any height and
    width that the net bears) and returns the output, or where there are several a dict of them by name. The
    names of the parameters are those of the .pth files that `fcn weights export` writes.

    Attributes:
        inputs, outputs: their names.

    Raises:
        ValueError: layers of types that are not known, or with settings that have no counterpart.
    """

    def __init__(self, net: Graph) -> None:
        super().__init__()
        graph.refuse_unknown(net, list(MAKERS), "with PyTorch")
        self.inputs, self.outputs = tuple(net.inputs), tuple(net.outputs)
        done = net.last_reads()
        self.steps = [
            (_key(layer), layer.bottoms, layer.tops, done.get(layer.name, [])) for layer in net.layers
        ]
        for layer in net.layers:
            if _key(layer) in self._modules:
                raise layer.refuse("another layer has the same name, or one that differs in a '.' only")
            self.add_module(_key(layer), MAKERS[layer.type](layer))
        _share(self, net)

    def forward(self, *inputs: torch.Tensor) -> Any:
        values = dict(zip(self.inputs, inputs, strict=True))
        for name, bottoms, tops, done in self.steps:
            found = self.get_submodule(name)(*[values[bottom] for bottom in bottoms])
            values.update(zip(tops, found if isinstance(found, tuple) else (found,)))
            for value in done:
                del values[value]
        if len(self.outputs) == 1:
            return values[self.outputs[0]]
        return {name: values[name] for name in self.outputs}


def _key(layer: Layer) -> str:
    """The name of a layer as a module's: these have no dots."""
    return layer.name.replace(".", "_")


def _share(module: CaffeModule, net: Graph) -> None:
    """Make parameters one that have one name in `param { name: ... }`."""
    owners: dict[str, nn.Parameter] = {}
    for layer in net.layers:
        child = module.get_submodule(_key(layer))
        own = list(child.named_parameters(recurse=False))
        for spec, (name, parameter) in zip(layer.spec.param, own):
            if spec.name:
                setattr(child, name, owners.setdefault(spec.name, parameter))
