"""Scoring against inference: the class of each pixel, the histogram, and label files against label files.

    python -m benchmarks.parts.scoring [--runs 5] [--width 1.0] [--pairs 736] [--gpu]

The parts of scoring an image are timed right after the inference of FCN-8s that they follow; the figures are
medians, and medians of the ratios to that inference. Folder against folder is `fcn score` as one calls it,
the process with all that it imports.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import caffe
import nets
from fcn.predictor import best_class
from fcn.score import fast_hist

from ..make_case import fill
from .drawn import write_pairs

H, W, CLASSES = 334, 500, 21


def steps(folder: Path, width: float) -> dict[str, Callable[[], object]]:
    """What scoring an image does, in its order; NumPy's own way beside ours."""
    deploy = folder / "deploy.prototxt"
    deploy.write_text(str(nets.build("voc-fcn8s", "deploy", arch=nets.VGG16.scaled(width), size=(H, W))))
    net = caffe.Net(str(deploy), caffe.TEST)
    fill(net)
    image = np.random.default_rng(1).standard_normal((1, 3, H, W)).astype(np.float32) * 60
    truth = np.random.default_rng(2).integers(0, CLASSES, (H // 20 + 1, W // 20 + 1))
    label = np.kron(truth, np.ones((20, 20)))[:H, :W].astype(np.float32)
    label[::30] = 255
    held: dict[str, np.ndarray] = {}

    def infer() -> None:
        held["scores"] = net.forward(data=image)["score"][0]

    def decide() -> None:
        held["guess"] = best_class(held["scores"])

    return {
        "inference": infer,
        "np.argmax": lambda: held["scores"].argmax(0),
        "best_class": decide,
        "fast_hist": lambda: fast_hist(label, held["guess"], CLASSES),
    }


def measure(calls: dict[str, Callable[[], object]], runs: int) -> dict[str, list[float]]:
    """Seconds of each call, in turn, after a round that is not counted."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(runs + 1):
        for name, call in calls.items():
            begun = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - begun)
    return {name: values[1:] for name, values in times.items()}


def score_folders(folder: Path, pairs: int) -> float:
    """Seconds of `fcn score` on so many predictions."""
    write_pairs(folder / "predictions", folder / "labels", pairs)
    names = [str(folder / "predictions"), "--labels", str(folder / "labels")]
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-m", "fcn", "score", *names], check=True, capture_output=True)
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--width", type=float, default=1.0, help="multiplies the channels of VGG16")
    parser.add_argument("--pairs", type=int, default=736, help="as many as seg11valid has")
    parser.add_argument("--gpu", action="store_true", help="inference on the GPU")
    args = parser.parse_args()
    caffe.init_log(1)
    if args.gpu:
        caffe.set_mode_gpu()
    with tempfile.TemporaryDirectory() as name:
        times = measure(steps(Path(name), args.width), args.runs)
        for step, values in times.items():
            ratio = statistics.median(a / b for a, b in zip(values, times["inference"], strict=True))
            print(
                f"{step:>10}: {1000 * statistics.median(values):8.2f} ms, {100 * ratio:6.2f} % of inference"
            )
        print(f"fcn score, {args.pairs} pairs of PNGs: {score_folders(Path(name), args.pairs):.2f} s")


if __name__ == "__main__":
    main()
