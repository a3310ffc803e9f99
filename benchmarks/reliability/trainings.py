"""A small training on drawn images, in processes that start quickly, and whether two of them end alike."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from PIL import Image

import solve
from caffe.proto import caffe_pb2
from fcn.runs import STATES, Run, read_rows
from fcn.weights import save_random
from fcn.weights.caffemodel import arrays
from nets import VGG16

WIDTH, INTERVAL = 0.05, 2
MODEL = "voc-fcn32s"


class Training:
    """A data set of five images of noise in VOC layout, random weights, and trainings on them in `work`.

    A first one takes place in this process: what it loads and compiles, those that are forked off it have.
    """

    def __init__(self, work: Path) -> None:
        self.work = work
        _draw(work / "data")
        save_random("vgg16", work / "vgg16.caffemodel", arch=VGG16.scaled(WIDTH), classes=4)
        with (work / "said.txt").open("w") as said, redirect_stdout(said), redirect_stderr(said), chdir(work):
            for steps in (INTERVAL, 2 * INTERVAL):
                solve.main(self.words("warm", steps, "--resume", "auto"))

    def run(self, runs: str) -> Run:
        """The run of the training in the folder `runs`."""
        return Run(self.work / runs / MODEL)

    def words(self, runs: str, steps: int, *more: str) -> list[str]:
        """What `solve.py` is told, to train so many steps."""
        options = ["--data", "data", "--weights", "vgg16.caffemodel", "--width", str(WIDTH), "--runs", runs]
        options += ["--iters", str(steps), "--snapshot", str(INTERVAL), "--test-every", "0"]
        return [MODEL, *options, "--base-lr", "1e-6", *more]

    def start(self, runs: str, steps: int, *more: str) -> int:
        """A process that trains so many steps; its number. It has a process group of its own."""
        return forked(lambda: solve.main(self.words(runs, steps, *more)), self.work)

    def finish(self, runs: str, steps: int, *more: str) -> int:
        """Train, and wait for the end; the exit status."""
        return ended(self.start(runs, steps, *more))


def forked(work: Callable[[], int], folder: Path) -> int:
    """Do something in a process of its own, in `folder` and in silence; its number."""
    sys.stdout.flush()
    child = os.fork()
    return child or _work(work, folder)


def _work(work: Callable[[], int], folder: Path) -> NoReturn:
    status = 99
    try:
        os.chdir(folder)
        said = os.open(folder / "said.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(said, 1)
        os.dup2(said, 2)
        status = work()
    finally:
        os._exit(status)


@contextmanager
def chdir(folder: Path) -> Iterator[None]:
    """Work in a folder, and afterwards where it was before."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def ended(process: int) -> int:
    """Wait for a process; its exit status, or less than 0 where a signal ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def differences(run: Run, other: Run, step: int) -> list[str]:
    """What differs between the states of two runs after `step`: weights, momentum, generators, losses."""
    first, second = (_state(found, step) for found in (run, other))
    return [name for name in first if first[name] != second[name]]


def _state(run: Run, step: int) -> dict[str, Any]:
    state = run.snapshots(STATES)[step]
    solver = caffe_pb2.SolverState.FromString(state.read_bytes())
    solver.learned_net = ""  # a path
    weights = {name: [a.tobytes() for a in blobs] for name, blobs in arrays(run.snapshots()[step]).items()}
    return {
        "weights": weights,
        "solver state": solver.SerializeToString(deterministic=True),
        "generators": json.loads(state.with_suffix(".resume").read_text()),
        "losses": json.loads(state.with_suffix(".loop.json").read_text())["losses"],
        "curve": [(row["iteration"], row["loss_per_image"]) for row in read_rows(run.curves)],
    }


def _draw(root: Path) -> None:
    rng = np.random.default_rng(0)
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (root / folder).mkdir(parents=True)
    for i in range(5):
        Image.fromarray(rng.integers(0, 255, (30, 40, 3), np.uint8)).save(root / f"JPEGImages/{i}.png")
        Image.fromarray(rng.integers(0, 3, (30, 40), np.uint8)).save(root / f"SegmentationClass/{i}.png")
    (root / "ImageSets/Segmentation/train.txt").write_text("0\n1\n2\n")
    (root / "ImageSets/Segmentation/val.txt").write_text("3\n4\n")
    (root / "classes.txt").write_text("sky\nroad\ncar\n")
