"""ONNX Runtime on the CPU, all graph optimisations on (its default)."""

from __future__ import annotations

import numpy as np
import onnxruntime

from ..case import Case, Run
from . import exported


def version() -> str:
    """The library's version."""
    return str(onnxruntime.__version__)


def prepare(case: Case) -> None:
    """Export the net as ONNX."""
    exported.onnx(case)


def load(case: Case, task: str, variant: str) -> Run:
    """A session with as many threads as the case has."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = case.threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        str(case.file("net.onnx")), options, providers=["CPUExecutionProvider"]
    )
    return lambda image: np.asarray(session.run(None, {"data": image})[0])
