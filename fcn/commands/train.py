"""Train FCNs. No model named: the chain FCN-32s, then 16s, then 8s.

    fcn train --data my-images --weights VGG_ILSVRC_16_layers.caffemodel --gpu 0
    fcn train voc-fcn32s --voc-dir VOCdevkit/VOC2011 --sbd-dir benchmark_RELEASE/dataset --weights ...
    fcn train --resume runs/voc-fcn32s

Each stage starts from the newest snapshot of the one before it, the first from a classifier's caffemodel
(--weights). Everything a stage writes goes to RUNS/<model>/, which knows what it is: to go on with it takes
nothing but its name.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import nets
import solvers
from nets.arguments import real, seed, whole, width
from voc_layers.facts import VOID

from ..data import TrainingData
from ..engine import checkpointing
from ..outputs import check_folder
from ..runs import Run
from ..train import chain, recipes, resume_run, train_chain
from .options import add_device, add_precision, carry_out, computing, entered, parser, show_progress

#: What a run knows of itself, and the value that means "not given".
KNOWN_TO_A_RUN: dict[str, object] = {
    "models": [], "recipe": None, "weights": None, "data": None, "voc_dir": None, "sbd_dir": None,
    "val_split": None, "classes": None, "width": None, "base_lr": None, "seed": None, "cache": None,
    "runs": Path("runs"), "precision": None,
}  # fmt: skip


def parse(argv: Sequence[str] | None, prog: str) -> argparse.Namespace:
    command = parser(prog, __doc__)
    add = command.add_argument
    add(
        "models",
        nargs="*",
        metavar="MODEL",
        help=f"of {', '.join(solvers.RECIPES)}; default: {' '.join(nets.CHAIN)}",
    )
    add_device(command)
    add_precision(command, default=None)
    add(
        "--checkpoint",
        action="store_true",
        help="train in less memory: drop blobs, and compute them again when needed; the training is the same",
    )
    add("--recipe", choices=solvers.KINDS, help="default: the one the model was published with")
    add("--weights", type=Path, metavar="FILE", help="what the first model starts from, or a run's folder")
    add("--iters", type=whole(1), metavar="N", help="train each model up to N steps (default: its recipe's)")
    add("--resume", metavar="RUN|auto|FILE", help="go on with the run in a folder, and give nothing else; "
        "or from each run's newest .solverstate, or from FILE")  # fmt: skip
    add("--runs", type=Path, default=Path("runs"), metavar="DIR", help="default: runs")
    add("--data", type=Path, metavar="DIR", help="own images in VOC layout, instead of VOC and SBD")
    add("--voc-dir", type=Path, metavar="DIR", help="PASCAL VOC; default: data/pascal/VOC2011")
    add("--sbd-dir", type=Path, metavar="DIR", help="SBD; default: data/sbdd/dataset")
    add("--val-split", metavar="NAME", help="default: seg11valid, or val with --data")
    add(
        "--classes",
        type=whole(2, VOID),
        metavar="N",
        help="default: lines of classes.txt, or PASCAL VOC's 21",
    )
    add("--width", type=width, metavar="X", help="multiply all widths of the trunk")
    add(
        "--base-lr",
        type=real(0),
        metavar="R",
        help="of the first model; the others keep their recipes' ratio",
    )
    add("--snapshot", type=whole(), metavar="N", help="a snapshot every N steps (default: the recipe's)")
    add("--test-every", type=whole(), metavar="N", help="score every N steps and at the end; 0: never")
    add("--seed", type=seed, help="of the training order, dropout and fillers; default: 1337")
    add(
        "--cache",
        type=whole(1),
        metavar="MIB",
        help="keep decoded images to train on in memory, at most so many MiB; the training is the same",
    )
    args = command.parse_args(argv)
    given = [key for key, absent in KNOWN_TO_A_RUN.items() if getattr(args, key) != absent]
    if resumes_run(args) and given:
        command.error(f"--resume {args.resume}: the run knows its own {', '.join(given)}; leave that out")
    return args


def resumes_run(args: argparse.Namespace) -> bool:
    """Whether --resume names a folder: a run, which needs no further description."""
    return args.resume not in (None, "auto") and Path(args.resume).is_dir()


def read_data(args: argparse.Namespace) -> TrainingData:
    """What the options name."""
    if args.data is not None:
        return TrainingData.own(args.data, args.val_split or "val", args.classes)
    return TrainingData.pascal(
        args.voc_dir or "data/pascal/VOC2011",
        args.sbd_dir or "data/sbdd/dataset",
        args.val_split or "seg11valid",
        args.classes,
    )


def run(args: argparse.Namespace) -> int:
    precision = args.precision or "float32"
    with computing(args.gpu, precision), entered(checkpointing(args.checkpoint), "--checkpoint"):
        return train(args, precision)


def train(args: argparse.Namespace, precision: str) -> int:
    """Train what the arguments say, each net in `precision`; a run that goes on, in its own."""
    check_folder(Path(args.resume) if resumes_run(args) else args.runs)
    changes = {"max_iter": args.iters, "snapshot": args.snapshot, "test_every": args.test_every}
    if resumes_run(args):
        resume_run(Path(args.resume), **changes)
        return 0
    rows = recipes(args.models or nets.CHAIN, args.recipe, args.base_lr, **changes)
    data = read_data(args)
    jobs = chain(
        rows,
        data,
        weights=args.weights,
        width=1.0 if args.width is None else args.width,
        seed=1337 if args.seed is None else args.seed,
        cache=args.cache or 0,
    )
    stages = [(replace(job, precision=precision), Run(args.runs / job.model)) for job in jobs]
    train_chain(stages, data, args.resume)
    return 0


def main(argv: Sequence[str] | None = None, prog: str = "fcn train") -> int:
    """Train what the arguments say; returns the exit status."""
    args = parse(argv, prog)
    show_progress()
    return carry_out(prog, lambda: run(args))
