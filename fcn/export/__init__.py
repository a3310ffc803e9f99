"""Nets for other frameworks: PyTorch, ONNX, `torch.export`, ncnn and MNN; each is compared with caffe."""

from __future__ import annotations

from typing import Any

from ..protocols import NetLike
from . import graph
from .needs import need


def to_torch(net: NetLike) -> Any:
    """A `caffe.Net` as a `torch.nn.Module` in evaluation mode, its parameters copied; see `CaffeModule`.

    Data layers, losses and measures are left out.

    Raises:
        ValueError: layers of types that are not known, or torch is missing.
    """
    need("torch", "a module of PyTorch", "pip install torch")
    from .torch_module import CaffeModule

    return CaffeModule(graph.read(net)).eval()


__all__ = ["to_torch"]
