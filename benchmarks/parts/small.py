"""The fixed cost of a pass: nets with next to nothing to compute, the engine against eager PyTorch.

    python -m benchmarks.parts.small [--runs 21] [--threads 1] [--engine FOLDER]

Each task runs in turn on both sides of one process: the figures are medians of the CPU time of an
iteration and of the paired ratios engine / PyTorch (below 1: the engine is faster). The PyTorch side is
written with `torch.nn`: the same shapes, solver and data on the same number of threads.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import torch
from torch import nn

ROOT = Path(__file__).resolve().parents[2]

#: The iterations of one run, the engine's and PyTorch's.
Pair = tuple[Callable[[], object], Callable[[], object]]

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


def lenet(batch: int) -> str:
    """LeNet as Caffe's tutorial has it, for `batch` digits."""

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
        + '\nlayer { name: "prob" type: "Softmax" bottom: "ip2" top: "prob" }'
    )


def solver(name: str, net: str) -> Callable[[int], None]:
    """Writes a net and its solver into the working folder; returns its `step`."""
    import caffe

    Path(f"{name}.prototxt").write_text(net)
    Path(f"{name}_solver.prototxt").write_text(
        f'net: "{name}.prototxt" base_lr: 0.01 momentum: 0.9 lr_policy: "fixed" snapshot_after_train: false'
    )
    return caffe.SGDSolver(f"{name}_solver.prototxt").step


def trained(
    module: nn.Module, batch: Callable[[], tuple[torch.Tensor, ...]], loss: nn.Module, count: int
) -> Callable[[], None]:
    """`count` iterations of SGD with momentum on a module."""
    optimizer = torch.optim.SGD(module.parameters(), lr=0.01, momentum=0.9)

    def run() -> None:
        for _ in range(count):
            data, target = batch()
            optimizer.zero_grad()
            value = loss(module(data), target)
            value.backward()
            optimizer.step()
            value.item()

    return run


def mlp(count: int) -> Pair:
    """An iteration of 16 x 8 -> 16 -> 1, squared loss, on drawn numbers."""
    step, ones = solver("mlp", MLP), torch.ones(16, 1)
    module = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))
    return lambda: step(count), trained(module, lambda: (torch.randn(16, 8), ones), nn.MSELoss(), count)


def logistic(count: int) -> Pair:
    """An iteration of logistic regression, 10 rows of 4 features of an HDF5 file in memory."""
    rows = np.random.default_rng(0).standard_normal((7500, 4)).astype(np.float32)
    with h5py.File("rows.h5", "w") as file:
        file["data"], file["label"] = rows, (rows[:, 0] > 0).astype(np.float32)
    Path("rows.txt").write_text("rows.h5\n")
    step = solver("logistic", LOGISTIC)
    data, target = torch.from_numpy(rows), torch.from_numpy(rows[:, 0] > 0).long()
    place = 0

    def batch() -> tuple[torch.Tensor, ...]:
        nonlocal place
        taken, place = slice(place, place + 10), (place + 10) % len(rows)
        return data[taken], target[taken]

    return lambda: step(count), trained(nn.Linear(4, 2), batch, nn.CrossEntropyLoss(), count)


def digits(batch: int) -> Callable[[int], Pair]:
    """A forward of LeNet at the given batch size."""

    def task(count: int) -> Pair:
        import caffe

        Path("lenet.prototxt").write_text(lenet(batch))
        net, images = caffe.Net("lenet.prototxt", caffe.TEST), torch.randn(batch, 1, 28, 28)
        net.blobs["data"].data[...] = images.numpy()
        module = nn.Sequential(
            nn.Conv2d(1, 20, 5), nn.MaxPool2d(2), nn.Conv2d(20, 50, 5), nn.MaxPool2d(2), nn.Flatten(),
            nn.Linear(800, 500), nn.ReLU(), nn.Linear(500, 10), nn.Softmax(1),
        )  # fmt: skip

        def engine() -> None:
            for _ in range(count):
                net.forward()

        def eager() -> None:
            with torch.no_grad():
                for _ in range(count):
                    module(images)

        return engine, eager

    return task


#: Name -> (how to make the two sides, iterations in a run).
TASKS: dict[str, tuple[Callable[[int], Pair], int]] = {
    "MLP, iteration": (mlp, 200),
    "logistic regression, iteration": (logistic, 200),
    "LeNet, forward of 1": (digits(1), 50),
    "LeNet, forward of 64": (digits(64), 5),
}


def cpu_ms(run: Callable[[], object], count: int) -> float:
    begun = time.process_time()
    run()
    return (time.process_time() - begun) / count * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=21)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--engine", type=Path, default=ROOT / "engine", help="the folder that has the package caffe"
    )
    args = parser.parse_args()
    sys.path.insert(0, str(args.engine.resolve()))
    import caffe

    caffe.init_log(1)
    torch.set_num_threads(args.threads)
    here = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for name, (task, count) in TASKS.items():
            engine, eager = task(count)
            engine(), eager()
            pairs = [(cpu_ms(engine, count), cpu_ms(eager, count)) for _ in range(args.runs)]
            ours, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
            ratio = statistics.median(a / b for a, b in pairs)
            print(f"{name:>30}: engine {ours:.4f} ms, PyTorch {theirs:.4f} ms, ratio {ratio:.2f}")
        os.chdir(here)


if __name__ == "__main__":
    main()
