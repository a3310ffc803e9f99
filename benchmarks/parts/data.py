"""Training on files against training on arrays in memory: FCN-8s, one image of 375 x 500 a step.

    python -m benchmarks.parts.data [--runs 8] [--width 0.5] [--gpu]

Every side trains the same net on the same images in the same order; they take turns, step by step, and the
figures are medians, and medians of the ratios to the side in memory: of the time that passed, and of that of
all processors, which another program takes less of. The files are as SBD's: JPEG and .mat.
"""

from __future__ import annotations

import argparse
import ast
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import caffe
import nets
import solvers
from voc_layers.facts import MEAN_BGR
from voc_layers.folder import SbdFolder
from voc_layers.reading import to_blob

from ..make_case import fill
from .drawn import write_sbd

IMAGES = 4
#: side -> what its data layer is told besides the folder; None: it holds the arrays.
SIDES: dict[str, dict[str, Any] | None] = {
    "in memory": None,
    "files": {},
    "files, kept": {"cache": 64},
    "files, not ahead": {"prefetch": 0},
}


class InMemory(caffe.Layer):
    """The arrays of a folder's train list, read before the first step."""

    def setup(self, bottom: Sequence[Any], top: Sequence[Any]) -> None:
        folder = SbdFolder(Path(ast.literal_eval(self.param_str)["sbdd_dir"]))
        pairs = [folder.pair(name) for name in folder.ids("train")]
        self.arrays = [(to_blob(i, MEAN_BGR)[None], label[None, None].astype("f4")) for i, label in pairs]
        self.at = 0

    def reshape(self, bottom: Sequence[Any], top: Sequence[Any]) -> None:
        for i in range(2):
            top[i].reshape(*self.arrays[self.at][i].shape)

    def forward(self, bottom: Sequence[Any], top: Sequence[Any]) -> None:
        for i in range(2):
            top[i].data[...] = self.arrays[self.at][i]
        self.at = (self.at + 1) % len(self.arrays)

    def backward(self, top: Sequence[Any], propagate_down: Sequence[bool], bottom: Sequence[Any]) -> None:
        """Data have no gradient."""


def open_solver(folder: Path, told: dict[str, Any] | None, width: float) -> caffe.SGDSolver:
    """The recipe's solver on a data layer that reads `folder`/sbd."""
    params = {"sbdd_dir": str(folder / "sbd"), "split": "train", "mean": MEAN_BGR, "randomize": False}
    if told is None:
        data = nets.PythonData("InMemory", params, __spec__.name)
    else:
        data = nets.PythonData("SBDDSegDataLayer", {**params, **told})
    train, solver = folder / "train.prototxt", folder / "solver.prototxt"
    arch = nets.VGG16.scaled(width)
    train.write_text(str(nets.build("voc-fcn8s", "train", data={"train": data}, arch=arch)))
    recipe = solvers.recipe("voc-fcn8s")
    options = {"train_net": str(train), "val_net": None, "snapshot_prefix": str(folder / "s")}
    solver.write_text(solvers.text(recipe, **options))
    found = caffe.SGDSolver(str(solver))
    fill(found.net)
    return found


class Cost(NamedTuple):
    """Of a step: seconds that passed, and seconds of all threads on all processors."""

    wall: float
    cpu: float


def measure(sides: dict[str, caffe.SGDSolver], runs: int) -> dict[str, list[Cost]]:
    """The cost of each side's steps, in turn, after a round that is not counted."""
    costs: dict[str, list[Cost]] = {name: [] for name in sides}
    for _ in range(runs + 1):
        for name, solver in sides.items():
            begun = Cost(time.perf_counter(), time.process_time())
            solver.step(1)
            float(solver.net.blobs["loss"].data)  # a GPU has finished
            costs[name].append(Cost(time.perf_counter() - begun.wall, time.process_time() - begun.cpu))
    return {name: values[1:] for name, values in costs.items()}


def reading(root: Path) -> float:
    """Seconds of one processor that image and label need, from the files to the arrays of the tops."""
    folder, seconds = SbdFolder(root), []
    for name in folder.ids("train") * 5:
        begun = time.thread_time()
        image, _ = folder.pair(name)
        to_blob(image, MEAN_BGR)
        seconds.append(time.thread_time() - begun)
    return statistics.median(seconds)


def ratio(values: Sequence[float], others: Sequence[float]) -> float:
    return statistics.median(a / b for a, b in zip(values, others, strict=True))


def check_same(sides: dict[str, caffe.SGDSolver]) -> None:
    """End the program where the sides were not given the same image and label in their last step."""
    for blob in ("data", "label"):
        first, *others = (solver.net.blobs[blob].data for solver in sides.values())
        if not all(np.array_equal(first, other) for other in others):
            sys.exit(f"the sides read different arrays: {blob}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=8)
    parser.add_argument("--width", type=float, default=0.5, help="multiplies the channels of VGG16")
    parser.add_argument("--gpu", action="store_true")
    args = parser.parse_args()
    caffe.init_log(1)
    if args.gpu:
        caffe.set_mode_gpu()
    with tempfile.TemporaryDirectory() as name:
        write_sbd(Path(name) / "sbd", IMAGES)
        sides = {side: open_solver(Path(name), told, args.width) for side, told in SIDES.items()}
        costs = measure(sides, args.runs)
        check_same(sides)
        read = reading(Path(name) / "sbd")
    walls, cpus = ({side: [getattr(c, kind) for c in costs[side]] for side in costs} for kind in Cost._fields)
    for side in costs:
        print(
            f"{side:>16}: {1000 * statistics.median(walls[side]):8.1f} ms a step, "
            f"ratio {ratio(walls[side], walls['in memory']):.3f}; "
            f"processor time {1000 * statistics.median(cpus[side]):8.1f} ms, "
            f"ratio {ratio(cpus[side], cpus['in memory']):.3f}"
        )
    share = read / statistics.median(cpus["in memory"])
    print(
        f"reading an image and its label: {1000 * read:.1f} ms of a processor, {100 * share:.2f} % of a step"
    )


if __name__ == "__main__":
    main()
