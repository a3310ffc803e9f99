"""MNN on the CPU, with its precision set high: float32 everywhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import MNN
import numpy as np

from ..case import Case, Run
from . import exported


def version() -> str:
    """The library's version."""
    return str(MNN.version())


def prepare(case: Case) -> None:
    """Export the net as ONNX and convert it."""
    convert = Path(sys.executable).with_name("mnnconvert")
    source, target = exported.onnx(case), case.file("net.mnn")
    command = [convert, "-f", "ONNX", "--modelFile", source, "--MNNModel", target, "--bizCode", "bench"]
    subprocess.run([str(word) for word in command], check=True, stdout=sys.stderr)


def load(case: Case, task: str, variant: str) -> Run:
    """The converted net as a module of MNN's expression interface."""
    runtime = MNN.nn.create_runtime_manager(
        ({"backend": "CPU", "precision": "high", "numThread": case.threads},)
    )
    net = MNN.nn.load_module_from_file(
        str(case.file("net.mnn")), ["data"], ["output"], runtime_manager=runtime, shape_mutable=False
    )

    def infer(image: np.ndarray) -> np.ndarray:
        data = MNN.expr.placeholder(list(image.shape), MNN.expr.NCHW, MNN.expr.float)
        data.write(image)
        (output,) = net.forward([data])
        return np.array(MNN.expr.convert(output, MNN.expr.NCHW).read())

    return infer
