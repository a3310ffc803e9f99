"""The folder that programs of old times are run in: a small classifier, its weights, a few pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy.signal import correlate2d

import caffe

LAYERS = """
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
        param { lr_mult: 1 } param { lr_mult: 2 }
        convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "gaussian" std: 0.3 } } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1"
        pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layer { name: "fc" type: "InnerProduct" bottom: "pool1" top: "fc"
        inner_product_param { num_output: 5 weight_filler { type: "gaussian" std: 0.3 } } }
"""
DEPLOY = (
    """name: "small"
input: "data" input_dim: 2 input_dim: 3 input_dim: 10 input_dim: 10
"""
    + LAYERS
    + 'layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }'
)
TRAIN = (
    """name: "small"
layer { name: "data" type: "HDF5Data" top: "data" top: "label" include { phase: TRAIN }
        hdf5_data_param { source: "train.txt" batch_size: 10 } }
layer { name: "data" type: "HDF5Data" top: "data" top: "label" include { phase: TEST }
        hdf5_data_param { source: "test.txt" batch_size: 10 } }
"""
    + LAYERS
    + """
layer { name: "accuracy" type: "Accuracy" bottom: "fc" bottom: "label" top: "accuracy"
        include { phase: TEST } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
"""
)
SOLVER = """net: "train.prototxt" test_iter: 4 test_interval: 1000 test_initialization: false base_lr: 0.05
momentum: 0.9 lr_policy: "fixed" max_iter: 100 snapshot_prefix: "small" snapshot_after_train: false
solver_mode: GPU
"""


def prepare() -> None:
    """Write the classifier's files and the pictures into the working folder."""
    caffe.set_random_seed(3)
    Path("deploy.prototxt").write_text(DEPLOY)
    Path("train.prototxt").write_text(TRAIN)
    Path("solver.prototxt").write_text(SOLVER)
    caffe.Net("deploy.prototxt", caffe.TEST).save("small.caffemodel")
    noise = np.random.default_rng(0)
    for number in range(3):
        Image.fromarray(noise.integers(0, 256, (12, 14, 3), np.uint8)).save(f"cat{number}.png")
    np.save("mean.npy", np.full((3, 12, 12), 100.0) + np.arange(3).reshape(3, 1, 1))


def run(text: str, **names: Any) -> dict[str, Any]:
    """Run a script with some names defined; returns all its names."""
    scope = {"__name__": "__main__", **names}
    exec(compile(text, "program.py", "exec"), scope)
    return scope


def scores(params: dict[str, list[np.ndarray]], images: np.ndarray) -> np.ndarray:
    """The classifier in NumPy: images N x 3 x H x W to N x 5 softmax scores."""
    weight, bias = params["conv1"]
    found = []
    for image in images.astype(np.float64):
        planes = [
            sum(correlate2d(plane, tap, "valid") for plane, tap in zip(image, kernel, strict=True))
            for kernel in weight
        ]
        conv = (np.array(planes) + bias.reshape(-1, 1, 1)).clip(0)
        count, height, width = conv.shape
        pool = conv.reshape(count, height // 2, 2, width // 2, 2).max((2, 4))
        fc = params["fc"][0] @ pool.ravel() + params["fc"][1]
        found.append(np.exp(fc - fc.max()) / np.exp(fc - fc.max()).sum())
    return np.array(found)


def parameters(net: caffe.Net) -> dict[str, list[np.ndarray]]:
    return {name: [blob.data.copy() for blob in blobs] for name, blobs in net.params.items()}


def bgr(path: str, size: tuple[int, int]) -> np.ndarray:
    """A picture as the classifier reads it: 3 x H x W, blue first, 0 to 255, minus 100, 101, 102."""
    image = caffe.io.resize_image(caffe.io.load_image(path), size) * 255
    return image[:, :, ::-1].transpose(2, 0, 1) - np.array([100, 101, 102]).reshape(3, 1, 1)
