"""Weights of VGG16's size: building the net, loading, saving; against torch.load/save and protobuf.

    python -m benchmarks.parts.weights [--runs 5] [--width 1.0]

Every measurement is a process of its own: seconds of the one call, files warm in the page cache, and the
growth of its peak resident memory over the moment before the call, in units of the file's size.
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
from typing import Any

import caffe

from ..memory import peak_bytes

TASKS = ("engine build", "engine load", "torch.load", "protobuf parse", "engine save", "torch.save")


def prepare(folder: Path, width: float) -> None:
    """The net, its caffemodel, and the same tensors as a .pth file."""
    import torch

    import nets
    from fcn.weights import save_random

    arch = nets.VGG16.scaled(width)
    save_random("vgg16", folder / "vgg16.caffemodel", arch=arch)
    (folder / "vgg16.prototxt").write_text(str(nets.build("vgg16", "deploy", arch=arch)))
    net = open_net(folder, True)
    blobs = {f"{name}.{i}": b for name, bs in net.params.items() for i, b in enumerate(bs)}
    state = {key: torch.from_numpy(blob.data.copy()) for key, blob in blobs.items()}
    torch.save(state, folder / "vgg16.pth")


def open_net(folder: Path, loaded: bool) -> Any:
    """The classifier, its parameters in touched memory."""
    net = caffe.Net(str(folder / "vgg16.prototxt"), caffe.TEST)
    if loaded:
        net.copy_from(str(folder / "vgg16.caffemodel"))
    else:
        for blobs in net.params.values():
            for blob in blobs:
                blob.data[...] = 1
    return net


def task(name: str, folder: Path) -> Callable[[], object]:
    """The call to measure, everything else done."""
    model, tensors = folder / "vgg16.caffemodel", folder / "vgg16.pth"
    if name == "protobuf parse":
        from caffe.proto import caffe_pb2

        return lambda: caffe_pb2.NetParameter().ParseFromString(model.read_bytes())
    import torch

    if name == "torch.load":
        return lambda: torch.load(tensors, weights_only=True)
    if name == "engine build":
        caffe.layer_type_list()  # what is imported at the first use of the engine
        return lambda: caffe.Net(str(folder / "vgg16.prototxt"), caffe.TEST)
    net = open_net(folder, name == "engine save")
    if name == "engine load":
        return lambda: net.copy_from(str(model))
    if name == "engine save":
        return lambda: net.save(str(folder / "saved.caffemodel"))
    state = torch.load(tensors, weights_only=True)
    return lambda: torch.save(state, folder / "saved.pth")


def measure(name: str, folder: Path) -> None:
    """Print seconds and growth of the peak memory in bytes of one task."""
    call = task(name, folder)
    before, begun = peak_bytes(), time.perf_counter()
    call()
    print(time.perf_counter() - begun, peak_bytes() - before)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--width", type=float, default=1.0, help="multiplies the channels of VGG16")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    caffe.init_log(1)
    if args.child:
        measure(args.child[0], Path(args.child[1]))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, args.width)
        size = (folder / "vgg16.caffemodel").stat().st_size
        print(f"{size / 2**20:.0f} MiB, {args.runs} runs of each, in turn")
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in TASKS}
        for _ in range(args.runs):
            for name in TASKS:
                command = [sys.executable, "-m", __spec__.name, "--child", name, str(folder)]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                seconds, growth = map(float, done.stdout.split())
                found[name].append((seconds, growth / size))
        for name, values in found.items():
            seconds, growth = (statistics.median(column) for column in zip(*values, strict=True))
            print(f"{name:>15}: {seconds:.2f} s, peak memory + {growth:.2f} x the file")


if __name__ == "__main__":
    main()
