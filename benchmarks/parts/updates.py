"""An update of all parameters, by each of the six solvers: compiled, rule by rule, and by `torch.optim`.

    python -m benchmarks.parts.updates [--runs 15] [--width 4096] [--threads N]

Two InnerProduct layers of width x width, in one process; the sides take turns. Figures are medians of an
update, the ratios those of turns (below 1: the compiled update is faster). PyTorch's leave the gradients as
they are, where Caffe's and so the engine's leave the update in them.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

import caffe

RATE, DECAY = 1e-6, 0.0005
NET = """
layer { name: "data" type: "Input" top: "x" top: "t" input_param {
  shape { dim: 1 dim: WIDTH } shape { dim: 1 dim: WIDTH } } }
layer { name: "a" type: "InnerProduct" bottom: "x" top: "a" inner_product_param {
  num_output: WIDTH weight_filler { type: "msra" } } }
layer { name: "b" type: "InnerProduct" bottom: "a" top: "b" inner_product_param {
  num_output: WIDTH weight_filler { type: "msra" } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "b" bottom: "t" top: "loss" }
"""

Optimizer = Callable[[list[torch.nn.Parameter]], torch.optim.Optimizer]
#: PyTorch's like of each solver, in one kernel where it has one.
PEERS: dict[str, Optimizer] = {
    "SGD": lambda p: torch.optim.SGD(p, RATE, momentum=0.9, weight_decay=DECAY, fused=True),
    "Nesterov": lambda p: torch.optim.SGD(
        p, RATE, momentum=0.9, weight_decay=DECAY, nesterov=True, fused=True
    ),
    "AdaGrad": lambda p: torch.optim.Adagrad(p, RATE, weight_decay=DECAY, fused=True),
    "RMSProp": lambda p: torch.optim.RMSprop(p, RATE, weight_decay=DECAY),
    "AdaDelta": lambda p: torch.optim.Adadelta(p, RATE, weight_decay=DECAY),
    "Adam": lambda p: torch.optim.Adam(p, RATE, weight_decay=DECAY, fused=True),
}


def ours(kind: str, algorithms: str) -> Callable[[], None]:
    """An update by the engine; the net of the present folder has a gradient."""
    momentum = 0 if kind in ("AdaGrad", "RMSProp") else 0.9
    Path("solver.prototxt").write_text(
        f'train_net: "net.prototxt" type: "{kind}" base_lr: {RATE} lr_policy: "fixed" momentum: {momentum} '
        f"weight_decay: {DECAY} snapshot_after_train: false"
    )
    solver = caffe.get_solver("solver.prototxt")
    solver.net.blobs["x"].data[...] = 1
    solver.step(1)

    def update() -> None:
        os.environ["CAFFE_ALGORITHMS"] = algorithms
        solver.apply_update()

    return update


def peer(kind: str, width: int) -> Callable[[], object]:
    """An update of parameters of the same shapes by PyTorch."""
    shapes = [(width, width), (width,)] * 2
    parameters = [torch.nn.Parameter(torch.randn(shape)) for shape in shapes]
    for parameter in parameters:
        parameter.grad = torch.randn_like(parameter)
    return PEERS[kind](parameters).step


def turn(update: Callable[[], object]) -> float:
    """Milliseconds of an update."""
    start = time.perf_counter()
    update()
    return (time.perf_counter() - start) * 1e3


def compare(kind: str, width: int, runs: int) -> str:
    """The line of a solver: medians of each side and of the ratios."""
    sides = {
        "compiled": ours(kind, "fast"),
        "rule by rule": ours(kind, "reference"),
        "PyTorch": peer(kind, width),
    }
    for update in sides.values():
        update()
    turns = [{side: turn(update) for side, update in sides.items()} for _ in range(runs)]
    told = [f"{side} {statistics.median(taken[side] for taken in turns):.1f} ms" for side in sides]
    for side in list(sides)[1:]:
        ratio = statistics.median(taken["compiled"] / taken[side] for taken in turns)
        told.append(f"compiled / {side} {ratio:.2f}")
    return f"{kind:>8}: {', '.join(told)}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--width", type=int, default=4096)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    caffe.init_log(1)
    torch.set_num_threads(args.threads)
    print(f"{2 * args.width * (args.width + 1):,} parameters, {args.threads} threads, {args.runs} runs")
    here = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("net.prototxt").write_text(NET.replace("WIDTH", str(args.width)))
        for kind in PEERS:
            print(compare(kind, args.width, args.runs), flush=True)
        os.chdir(here)


if __name__ == "__main__":
    main()
