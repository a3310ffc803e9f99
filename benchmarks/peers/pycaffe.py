"""The `caffe` that is imported: this engine, or a BVLC Caffe."""

from __future__ import annotations

import numpy as np

import caffe

from ..case import TRAINING, Case, Run


def version() -> str:
    """The engine's version, or BVLC Caffe's."""
    return str(getattr(caffe, "__engine__", f"BVLC Caffe {caffe.__version__}"))


def prepare(case: Case) -> None:
    """Nothing: prototxt and caffemodel are what Caffe reads."""


def load(case: Case, task: str, variant: str) -> Run:
    """The net as pycaffe's users run it: the image written into the blob `data`, the result copied out."""
    if case.gpu:
        caffe.set_mode_gpu()
    if task == TRAINING:
        solver = caffe.SGDSolver(str(case.solver))
        solver.net.copy_from(str(case.caffemodel))
        solver.net.blobs["label"].data[...] = case.read("label")

        def step(image: np.ndarray) -> np.ndarray:
            solver.net.blobs["data"].data[...] = image
            solver.step(1)
            return np.array(solver.net.blobs["loss"].data)

        return step
    net = caffe.Net(str(case.deploy), caffe.TEST)
    net.copy_from(str(case.caffemodel))
    (output,) = net.outputs

    def infer(image: np.ndarray) -> np.ndarray:
        net.blobs["data"].data[...] = image
        return np.array(net.forward()[output])

    return infer
