"""Long use: steps of training, images of many sizes, nets made and dropped; memory has to stay flat."""

from __future__ import annotations

import ctypes
import gc
import itertools
import os
import random
import resource
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

import caffe
import nets

from .trainings import MODEL, WIDTH, Training

#: Growth that counts as none, after the first fifth: of the resident memory.
FLAT = 0.02
#: Heights and widths that images are drawn from.
SIZES = (48, 64, 80, 96, 112, 128, 160)


def check(steps: int, passes: int, made: int, seed: int) -> list[str]:
    """Train, infer and build so often; what grew."""
    caffe.set_mode_cpu()
    with tempfile.TemporaryDirectory() as folder:
        training = Training(Path(folder))
        training.finish("runs", 1)
        works = {
            "training steps": (steps, _training(training)),
            "passes of images of mixed sizes": (passes, _inference(seed)),
            "nets made and dropped": (made, _building(Path(folder))),
        }
        return [problem for what, (count, work) in works.items() for problem in flat(what, count, work)]


def _training(training: Training) -> Callable[[], object]:
    os.chdir(training.work)
    solver = caffe.get_solver(str(training.run("runs").solver))
    return lambda: solver.step(1)


def _inference(seed: int) -> Callable[[], object]:
    drawn = random.Random(seed)
    path = Path("deploy.prototxt")
    path.write_text(str(nets.build(MODEL, "deploy", classes=3, arch=nets.get(MODEL).arch.scaled(WIDTH))))
    net = caffe.Net(str(path), caffe.TEST)

    def infer(height: int, width: int) -> None:
        net.blobs["data"].reshape(1, 3, height, width)
        net.blobs["data"].data[...] = np.float32(drawn.random())
        net.forward()

    for height, width in itertools.product(SIZES, SIZES):  # what a size takes at first, none takes later
        infer(height, width)
    return lambda: infer(drawn.choice(SIZES), drawn.choice(SIZES))


def _building(folder: Path) -> Callable[[], object]:
    path = folder / "small.prototxt"
    path.write_text(str(nets.build(MODEL, "deploy", classes=3, arch=nets.get(MODEL).arch.scaled(WIDTH))))
    return lambda: caffe.Net(str(path), caffe.TEST).forward()


def flat(what: str, count: int, work: Callable[[], object]) -> list[str]:
    """Do it so often; the most memory of the last fifth against that of the second."""
    peaks = []
    for part in range(5):
        peak = 0
        for number in range(part * count // 5, (part + 1) * count // 5):
            work()
            if number % 10 == 0:
                peak = max(peak, _resident())
        gc.collect()
        peaks.append(max(peak, _resident()))
    growth = peaks[-1] / peaks[1] - 1
    shown = ", ".join(f"{peak / 2**20:.0f}" for peak in peaks)
    print(f"soak: {count} {what}: {shown} MiB in each fifth; {growth:+.1%} in the last")
    return [f"{what}: {growth:+.1%} of memory"] if growth > FLAT else []


def _resident() -> int:
    """Bytes of memory that this process has, without what its allocator keeps for later.

    How much that is depends on how pieces of all sizes came to lie, and goes up and down by some percent.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of the GNU C library alone
    if trim is not None:
        trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
