"""The nets of `small` through pycaffe, the engine's or BVLC's; any Python that has one of them can run this.

    python -m benchmarks.parts.small_nets FOLDER

FOLDER holds what `write` wrote. For each line of standard input, the name of a task, one turn of it is run
and the CPU time of an iteration written, in milliseconds.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

MLP = """
layer { name: "d" type: "DummyData" top: "d" top: "l" dummy_data_param {
  shape { dim: 16 dim: 8 } shape { dim: 16 dim: 1 }
  data_filler { type: "gaussian" } data_filler { type: "constant" value: 1 } } }
layer { name: "a" type: "InnerProduct" bottom: "d" top: "a" inner_product_param {
  num_output: 16 weight_filler { type: "xavier" } } }
layer { name: "r" type: "ReLU" bottom: "a" top: "a" }
layer { name: "b" type: "InnerProduct" bottom: "a" top: "b" inner_product_param {
  num_output: 1 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "b" bottom: "l" top: "loss" }
"""
LOGISTIC = """
layer { name: "d" type: "HDF5Data" top: "data" top: "label" hdf5_data_param {
  source: "rows.txt" batch_size: 10 } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param {
  num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""


def lenet(batch: int, end: str) -> str:
    """LeNet as Caffe's tutorial has it, for `batch` digits; `end` are the layers after the last product."""

    def convolution(number: int, bottom: str, outputs: int) -> str:
        return f"""
layer {{ name: "conv{number}" type: "Convolution" bottom: "{bottom}" top: "conv{number}" convolution_param {{
  num_output: {outputs} kernel_size: 5 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "pool{number}" type: "Pooling" bottom: "conv{number}" top: "pool{number}" pooling_param {{
  pool: MAX kernel_size: 2 stride: 2 }} }}"""

    def dense(number: int, bottom: str, outputs: int) -> str:
        return f"""
layer {{ name: "ip{number}" type: "InnerProduct" bottom: "{bottom}" top: "ip{number}" inner_product_param {{
  num_output: {outputs} weight_filler {{ type: "xavier" }} }} }}"""

    return (
        f'layer {{ name: "data" type: "Input" top: "data" input_param {{ '
        f"shape {{ dim: {batch} dim: 1 dim: 28 dim: 28 }} }} }}"
        + convolution(1, "data", 20)
        + convolution(2, "pool1", 50)
        + dense(1, "pool2", 500)
        + '\nlayer { name: "relu1" type: "ReLU" bottom: "ip1" top: "ip1" }'
        + dense(2, "ip1", 10)
        + end
    )


#: What comes after LeNet's last product: in use, and in training.
SOFTMAX = '\nlayer { name: "prob" type: "Softmax" bottom: "ip2" top: "prob" }'
LOSS = """
layer { name: "label" type: "Input" top: "label" input_param { shape { dim: %d } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip2" bottom: "label" top: "loss" }"""


def write(folder: Path, rows: np.ndarray) -> None:
    """The nets, their solvers, and `rows` (N x 4) for the logistic regression: is the first above 0?"""
    import h5py

    with h5py.File(folder / "rows.h5", "w") as file:
        file["data"], file["label"] = rows, (rows[:, 0] > 0).astype(np.float32)
    (folder / "rows.txt").write_text("rows.h5\n")
    nets = {"mlp": MLP, "logistic": LOGISTIC}
    for batch in (1, 64):
        nets[f"lenet{batch}"] = lenet(batch, SOFTMAX)
        nets[f"lenet{batch}_train"] = lenet(batch, LOSS % batch)
    for name, net in nets.items():
        (folder / f"{name}.prototxt").write_text(net)
        (folder / f"{name}_solver.prototxt").write_text(
            f'net: "{name}.prototxt" base_lr: 0.01 momentum: 0.9 lr_policy: "fixed" '
            "snapshot_after_train: false"
        )


def iterations(name: str) -> Callable[[int], None]:
    """What runs so many iterations of training; inputs are noise, and their labels the digits in turn."""
    import caffe

    solver = caffe.SGDSolver(f"{name}_solver.prototxt")
    noise = np.random.default_rng(0)
    for top in solver.net.inputs:
        values = solver.net.blobs[top].data
        values[...] = np.arange(values.size) % 10 if top == "label" else noise.standard_normal(values.shape)
    step: Callable[[int], None] = solver.step
    return step


def forwards(name: str) -> Callable[[int], None]:
    """What runs so many forward passes on the same noise."""
    import caffe

    net = caffe.Net(f"{name}.prototxt", caffe.TEST)
    data = net.blobs["data"].data
    data[...] = np.random.default_rng(0).standard_normal(data.shape)

    def run(count: int) -> None:
        for _ in range(count):
            net.forward()

    return run


#: Name -> (what makes its run in the folder that `write` wrote to, iterations of a turn).
TASKS: dict[str, tuple[Callable[[], Callable[[int], None]], int]] = {
    "MLP, iteration": (lambda: iterations("mlp"), 200),
    "logistic regression, iteration": (lambda: iterations("logistic"), 200),
    "LeNet, forward of 1": (lambda: forwards("lenet1"), 50),
    "LeNet, forward of 64": (lambda: forwards("lenet64"), 5),
    "LeNet, iteration of 1": (lambda: iterations("lenet1_train"), 30),
    "LeNet, iteration of 64": (lambda: iterations("lenet64_train"), 3),
}


def cpu_ms(run: Callable[[int], object], count: int) -> float:
    """The CPU time of one of `count` iterations, in milliseconds."""
    begun = time.process_time()
    run(count)
    return (time.process_time() - begun) / count * 1e3


def serve() -> None:
    """Serve turns until standard input ends."""
    os.chdir(sys.argv[1])
    runs = {name: make() for name, (make, _) in TASKS.items()}
    for run in runs.values():
        run(1)
    for line in sys.stdin:
        name = line.rstrip("\n")
        print(cpu_ms(runs[name], TASKS[name][1]), flush=True)


if __name__ == "__main__":
    serve()
