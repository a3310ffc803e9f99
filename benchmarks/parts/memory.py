"""How much memory a step of training takes: FCN-8s, by each path, and with the trunk's blobs dropped.

    python -m benchmarks.parts.memory [--size 500x500] [--width 1.0] [--runs 2]

Each way is a process of its own that takes some steps of SGD. Its figure is the peak of resident memory over
what the process held before it built the net, beside what a Caffe holds whose blobs can all be read: data and
diff of each, and of each parameter its data, diff and history.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import caffe
from benchmarks.arguments import size_type
from benchmarks.memory import peak_bytes
from benchmarks.parts.paths import build, feed
from caffe import _caffe

#: way -> CAFFE_ALGORITHMS, and whether blobs are dropped
WAYS = {
    "fast": ("fast", False),
    "reference": ("reference", False),
    "checkpointing": ("fast", True),
    "checkpointing-reference": ("reference", True),
}


def train(way: str, width: float, size: tuple[int, int], steps: int) -> tuple[int, int]:
    """The peak of this process over its start after some steps, and what Caffe holds, in bytes."""
    os.environ["CAFFE_ALGORITHMS"], dropping = WAYS[way]
    caffe.set_checkpointing(dropping)
    before = peak_bytes()
    with tempfile.TemporaryDirectory() as folder:
        solver: Any = build(Path(folder), width, size, caffe.TRAIN)
        need = _caffe.net_footprint(solver.net.plan, solver.net.runner.layers, solver.net.runner.blobs)
        feed(solver.net)
        solver.step(steps)
    return peak_bytes() - before, need.training()


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--width", type=float, default=1.0, help="multiplies the channels of VGG16")
    parser.add_argument("--size", type=size_type, default=(500, 500), help="height x width of the image")
    parser.add_argument("--runs", type=int, default=2, help="steps of training")
    parser.add_argument("--way", choices=WAYS, help="run this one alone, in this process")
    return parser.parse_args()


def main() -> None:
    """Print a line for each way."""
    args = parse()
    caffe.init_log(1)
    if args.way:
        used, need = train(args.way, args.width, args.size, args.runs)
        print(f"{args.way:24} {used / 2**20:7.0f} MiB, {used / need:.2f} of Caffe's {need / 2**20:.0f} MiB")
        return
    size = "x".join(map(str, args.size))
    for way in WAYS:
        command = [sys.executable, "-m", "benchmarks.parts.memory", "--way", way, "--size", size]
        command += ["--width", str(args.width), "--runs", str(args.runs)]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
