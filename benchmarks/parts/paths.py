"""The fast path beside the reference path: FCN-8s, a forward pass and a step of training.

    python -m benchmarks.parts.paths [--runs 7] [--width 1.0] [--size 334x500] [--threads N]

One process, one net for each task; the paths take turns, by CAFFE_ALGORITHMS. Figures are medians, the ratios
those of pairs (below 1: the fast path is faster), the error the largest difference of the scores over the
largest score.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

import caffe
import nets
from benchmarks.make_case import fill
from nets.vgg import VGG16

PATHS = ("fast", "reference")
CLASSES = 21


def build(folder: Path, width: float, size: tuple[int, int], phase: int) -> Any:
    """FCN-8s that reads Input blobs, with random weights and one random image; in TRAIN with its loss."""
    proto = nets.build("voc-fcn8s", "deploy", arch=VGG16.scaled(width), size=size)
    text = str(proto)
    if phase == caffe.TRAIN:
        text += (
            f'layer {{ name: "label" type: "Input" top: "label" input_param {{ shape {{ dim: 1 dim: 1 '
            f"dim: {size[0]} dim: {size[1]} }} }} }}\n"
            'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss" '
            "loss_param { normalize: false } }"
        )
    path = folder / f"net{phase}.prototxt"
    path.write_text(text)
    if phase == caffe.TEST:
        return caffe.Net(str(path), caffe.TEST)
    solver = folder / "solver.prototxt"
    solver.write_text(
        f'train_net: "{path}" lr_policy: "fixed" base_lr: 1e-14 momentum: 0.99 weight_decay: 0.0005 '
        f'snapshot_prefix: "{folder}/s" snapshot_after_train: false'
    )
    return caffe.SGDSolver(str(solver))


def feed(net: Any) -> None:
    """Weights, image and labels, the same for the same net."""
    fill(net)
    stream = np.random.default_rng(1)
    net.blobs["data"].data[...] = stream.normal(0, 50, net.blobs["data"].shape)
    if "label" in net.blobs:
        net.blobs["label"].data[...] = stream.integers(0, CLASSES, net.blobs["label"].shape)


def timed(run: Callable[[], object], runs: int) -> dict[str, list[float]]:
    """Seconds of each path, after one run of each that is not counted."""
    found: dict[str, list[float]] = {path: [] for path in PATHS}
    for number in range(runs + 1):
        for path in PATHS:
            os.environ["CAFFE_ALGORITHMS"] = path
            start = time.perf_counter()
            run()
            if number:
                found[path].append(time.perf_counter() - start)
    return found


def error(net: Any) -> float:
    """Largest difference of the paths' scores over the largest score."""
    scores = {}
    for path in PATHS:
        os.environ["CAFFE_ALGORITHMS"] = path
        net.forward()
        scores[path] = net.blobs["score"].data.copy()
    worst = np.abs(scores["fast"] - scores["reference"]).max()
    return float(worst / np.abs(scores["reference"]).max())


def show(task: str, found: dict[str, list[float]]) -> None:
    """One line of the table."""
    ratios = [fast / slow for fast, slow in zip(found["fast"], found["reference"])]
    medians = " ".join(f"{path} {statistics.median(found[path]):7.3f} s" for path in PATHS)
    low, high = min(ratios), max(ratios)
    print(f"{task:14} {medians}  ratio {statistics.median(ratios):.2f} ({low:.2f} to {high:.2f})")


def main() -> None:
    """Time both tasks and print a line for each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--width", type=float, default=1.0, help="multiplies the channels of VGG16")
    parser.add_argument("--size", default="334x500", help="height x width of the image")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    caffe.init_log(1)
    torch.set_num_threads(args.threads)
    height, width = map(int, args.size.split("x"))
    print(f"FCN-8s, {height} x {width}, {args.threads} threads, width {args.width:g}, {args.runs} runs")
    with tempfile.TemporaryDirectory() as name:
        net = build(Path(name), args.width, (height, width), caffe.TEST)
        feed(net)
        print(f"error of the scores: {error(net):.1e}")
        show("inference", timed(net.forward, args.runs))
        del net
        solver = build(Path(name), args.width, (height, width), caffe.TRAIN)
        feed(solver.net)
        show("training step", timed(lambda: solver.step(1), args.runs))


if __name__ == "__main__":
    main()
