"""OpenVINO on the CPU, in float32 also where the processor has bfloat16."""

from __future__ import annotations

import numpy as np
import openvino

from ..case import Case, Run
from . import exported


def version() -> str:
    """The library's version, without its build."""
    return str(openvino.__version__).split("-")[0]


def prepare(case: Case) -> None:
    """Export the net as ONNX."""
    exported.onnx(case)


def load(case: Case, task: str, variant: str) -> Run:
    """The model compiled for the least latency of one image."""
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": case.threads,
        "PERFORMANCE_HINT": "LATENCY",
    }
    model = openvino.Core().compile_model(str(case.file("net.onnx")), "CPU", settings)
    return lambda image: np.array(model([image])[0])
