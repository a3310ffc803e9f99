"""The fixed cost of a pass: nets with next to nothing to compute, the engine against eager PyTorch.

    python -m benchmarks.parts.small [--runs 21] [--threads 1] [--only LeNet] [--engine FOLDER]
    CAFFE_ROOT=~/caffe CAFFE_PYTHON=python3 python -m benchmarks.parts.small      # BVLC Caffe's turns too

All sides take turns: the figures are medians of the CPU time of an iteration and of the paired ratios engine
/ other (below 1: the engine is faster). The PyTorch side is written with `torch.nn`, in the engine's process:
the same shapes, solver and data on the same number of threads. BVLC Caffe runs in a process of its own.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ..contest import Interpreters, environment
from . import small_nets

ROOT = Path(__file__).resolve().parents[2]
ROWS = np.random.default_rng(0).standard_normal((7500, 4)).astype(np.float32)

Run = Callable[[int], object]  #: runs so many iterations


def trained(module: nn.Module, batch: Callable[[], tuple[torch.Tensor, ...]], loss: nn.Module) -> Run:
    """Iterations of SGD with momentum on a module."""
    optimizer = torch.optim.SGD(module.parameters(), lr=0.01, momentum=0.9)

    def run(count: int) -> None:
        for _ in range(count):
            data, target = batch()
            optimizer.zero_grad()
            value = loss(module(data), target)
            value.backward()
            optimizer.step()
            value.item()

    return run


def mlp() -> Run:
    """An iteration of 16 x 8 -> 16 -> 1, squared loss, on drawn numbers."""
    module, ones = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1)), torch.ones(16, 1)
    return trained(module, lambda: (torch.randn(16, 8), ones), nn.MSELoss())


def logistic() -> Run:
    """An iteration of logistic regression, 10 rows of 4 features."""
    data, target = torch.from_numpy(ROWS), torch.from_numpy(ROWS[:, 0] > 0).long()
    place = 0

    def batch() -> tuple[torch.Tensor, ...]:
        nonlocal place
        taken, place = slice(place, place + 10), (place + 10) % len(ROWS)
        return data[taken], target[taken]

    return trained(nn.Linear(4, 2), batch, nn.CrossEntropyLoss())


def lenet(*end: nn.Module) -> nn.Module:
    """LeNet, and what comes after its last product."""
    return nn.Sequential(
        nn.Conv2d(1, 20, 5), nn.MaxPool2d(2), nn.Conv2d(20, 50, 5), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(800, 500), nn.ReLU(), nn.Linear(500, 10), *end,
    )  # fmt: skip


def digits_learned(batch: int) -> Run:
    """An iteration of LeNet at the given batch size."""
    images, labels = torch.randn(batch, 1, 28, 28), torch.arange(batch) % 10
    return trained(lenet(), lambda: (images, labels), nn.CrossEntropyLoss())


def digits(batch: int) -> Run:
    """A forward of LeNet at the given batch size."""
    images, module = torch.randn(batch, 1, 28, 28), lenet(nn.Softmax(1))

    def run(count: int) -> None:
        with torch.no_grad():
            for _ in range(count):
                module(images)

    return run


#: Eager PyTorch's side of each task.
EAGER: dict[str, Callable[[], Run]] = {
    "MLP, iteration": mlp,
    "logistic regression, iteration": logistic,
    "LeNet, forward of 1": lambda: digits(1),
    "LeNet, forward of 64": lambda: digits(64),
    "LeNet, iteration of 1": lambda: digits_learned(1),
    "LeNet, iteration of 64": lambda: digits_learned(64),
}


@contextmanager
def bvlc(folder: Path, threads: int) -> Iterator[Callable[[str], float] | None]:
    """What gives the milliseconds of a turn of BVLC Caffe, by the task's name; None without CAFFE_ROOT."""
    root = os.environ.get("CAFFE_ROOT")
    if not root:
        yield None
        return
    python, extra = Interpreters(
        Path(), os.environ.get("CAFFE_PYTHON", "python3"), Path(root).expanduser()
    ).command("bvlc")
    command = [python, "-m", small_nets.__name__, str(folder)]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env={**environment(threads, extra), "GLOG_minloglevel": "2"},
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        asked, answers = process.stdin, process.stdout

        def turn(name: str) -> float:
            print(name, file=asked, flush=True)
            return float(answers.readline())

        yield turn
        asked.close()


def compare(name: str, runs: int, other: Callable[[str], float] | None) -> str:
    """The line of a task: medians of each side and of the ratios."""
    make, count = small_nets.TASKS[name]
    engine, eager = make(), EAGER[name]()
    sides: dict[str, Callable[[], float]] = {
        "engine": lambda: small_nets.cpu_ms(engine, count),
        "PyTorch": lambda: small_nets.cpu_ms(eager, count),
    }
    if other is not None:
        sides["BVLC Caffe"] = lambda: other(name)
    for measure in sides.values():
        measure()
    turns = [{side: measure() for side, measure in sides.items()} for _ in range(runs)]
    told = [f"{side} {statistics.median(turn[side] for turn in turns):.4f} ms" for side in sides]
    for side in list(sides)[1:]:
        ratio = statistics.median(turn["engine"] / turn[side] for turn in turns)
        told.append(f"engine / {side} {ratio:.2f}")
    return f"{name:>30}: {', '.join(told)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=21)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--engine", type=Path, default=ROOT / "engine", help="the folder that has the package caffe"
    )
    parser.add_argument("--only", default="", help="the tasks that have this in their name")
    args = parser.parse_args()
    sys.path.insert(0, str(args.engine.resolve()))
    import caffe

    caffe.init_log(1)
    torch.set_num_threads(args.threads)
    here = os.getcwd()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        small_nets.write(folder, ROWS)
        os.chdir(folder)
        with bvlc(folder, args.threads) as other:
            for task in (task for task in small_nets.TASKS if args.only in task):
                print(compare(task, args.runs, other), flush=True)
        os.chdir(here)


if __name__ == "__main__":
    main()
