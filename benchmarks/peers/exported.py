"""The PyTorch module as files that other libraries read: ONNX and TorchScript."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch

from ..case import Case
from .twin import Twin, read_arrays, read_net


def onnx(case: Case) -> Path:
    """The net as ONNX (opset 13), written unless it is there."""
    path = case.file("net.onnx")
    if not path.exists():
        part = path.with_suffix(".part")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter by tracing is deprecated; MNN wants its opset
            torch.onnx.export(
                _twin(case), (_image(case),), str(part), opset_version=13, dynamo=False,
                input_names=["data"], output_names=["output"],
            )  # fmt: skip
        part.rename(path)
    return path


def torchscript(case: Case) -> Path:
    """The net as TorchScript."""
    path = case.file("net.pt")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing makes the sizes of crops constant, as it should
        torch.jit.save(torch.jit.trace(_twin(case), _image(case)), str(path))
    return path


def _twin(case: Case) -> Twin:
    return Twin(read_net(case.deploy), read_arrays(case.arrays)).eval()


def _image(case: Case) -> torch.Tensor:
    return torch.from_numpy(case.read("image"))
