"""OpenCV's dnn module, which reads Caffe's files itself (OpenCV 4)."""

from __future__ import annotations

import cv2
import numpy as np

from ..case import Case, Run


def version() -> str:
    """The library's version."""
    return str(cv2.__version__)


def prepare(case: Case) -> None:
    """Nothing: prototxt and caffemodel are what it reads."""


def load(case: Case, task: str, variant: str) -> Run:
    """The net on OpenCV's own CPU backend."""
    cv2.setNumThreads(case.threads)
    net = cv2.dnn.readNetFromCaffe(str(case.deploy), str(case.caffemodel))  # type: ignore[attr-defined]  # not in OpenCV 5
    net.setPreferableBackend(cv2.dnn.DNN_BACKEND_OPENCV)
    net.setPreferableTarget(cv2.dnn.DNN_TARGET_CPU)
    net.enableWinograd(True)

    def infer(image: np.ndarray) -> np.ndarray:
        net.setInput(image, "data")
        return np.array(net.forward())

    return infer
