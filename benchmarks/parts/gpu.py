"""FCN-8s on a CUDA device, in each precision: images and training steps a second, and memory.

    python -m benchmarks.parts.gpu [--runs 20] [--size 500x500] [--width 1.0]

Each figure is that of `runs` passes after four that are not counted, the device waited for at the end. The
memory is the most that PyTorch had given out at once. Inference is measured layer by layer and replayed from
CUDA graphs (`caffe.set_graphs`), training also with blobs dropped (`caffe.set_checkpointing`).
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

import caffe
from benchmarks.arguments import size_type
from benchmarks.parts.paths import build, feed

PRECISIONS = ("float32", "tf32", "bfloat16")


def rate(run: Callable[[], object], runs: int) -> tuple[float, float]:
    """Runs a second, and GiB at the peak."""
    for _ in range(4):
        run()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    start = time.perf_counter()
    for _ in range(runs):
        run()
    torch.cuda.synchronize()
    return runs / (time.perf_counter() - start), torch.cuda.max_memory_allocated() / 2**30


def show(task: str, run: Callable[[], object], runs: int) -> None:
    """A line for each precision."""
    for precision in PRECISIONS:
        caffe.set_precision(precision)
        found, memory = rate(run, runs)
        print(f"{task:28} {precision:9} {found:8.2f} a second {memory:6.2f} GiB", flush=True)


def main() -> None:
    """Print all figures, or that there is no CUDA device."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--width", type=float, default=1.0, help="multiplies the channels of VGG16")
    parser.add_argument("--size", type=size_type, default=(500, 500), help="height x width of the image")
    args = parser.parse_args()
    if not torch.cuda.is_available():
        print(f"PyTorch {torch.__version__} finds no CUDA device here: nothing was measured")
        return
    caffe.init_log(1)
    caffe.set_mode_gpu()
    print(f"{torch.cuda.get_device_name()}, PyTorch {torch.__version__}, FCN-8s, {args.size} pixels")
    with tempfile.TemporaryDirectory() as folder:
        net = build(Path(folder), args.width, args.size, caffe.TEST)
        feed(net)
        for graphs in (False, True):
            caffe.set_graphs(graphs)
            show(f"inference{', graphs' * graphs}", net.forward, args.runs)
        caffe.set_graphs(False)
        del net
        for dropping in (False, True):
            caffe.set_checkpointing(dropping)
            solver = build(Path(folder), args.width, args.size, caffe.TRAIN)
            feed(solver.net)
            show(f"training{', checkpointing' * dropping}", partial(solver.step, 1), args.runs)


if __name__ == "__main__":
    main()
