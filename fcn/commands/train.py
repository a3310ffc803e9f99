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
import math
import time
from collections.abc import Sequence
from pathlib import Path

import nets
import solvers
from nets.arguments import real, seed, whole, width
from voc_layers.facts import VOID

from ..data import TrainingData
from ..outputs import check_folder
from ..runs import Run
from ..train import Session, chain, recipes, resume_run, train_chain
from ..train.session import EFFECTS
from ..train.stopping import TIME_IS_UP
from .options import add_device, carry_out, compute_on, parser, show_progress

#: What a run knows of itself, and the value that means "not given".
KNOWN_TO_A_RUN: dict[str, object] = {
    "models": [], "recipe": None, "weights": None, "data": None, "voc_dir": None, "sbd_dir": None,
    "val_split": None, "classes": None, "width": None, "base_lr": None, "seed": None, "cache": None,
    "runs": Path("runs"),
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
    add_session(command)
    args = command.parse_args(argv)
    given = [key for key, absent in KNOWN_TO_A_RUN.items() if getattr(args, key) != absent]
    if resumes_run(args) and given:
        command.error(f"--resume {args.resume}: the run knows its own {', '.join(given)}; leave that out")
    return args


def add_session(command: argparse.ArgumentParser) -> None:
    """What `read_session` reads."""
    add = command.add_argument_group("this start of it (what is trained does not depend on it)").add_argument
    add("--keep-last", type=whole(), default=3, metavar="N", help="keep the N last snapshots and the one "
        "with the best score; 0: all. Default: 3")  # fmt: skip
    add("--sigint-effect", choices=EFFECTS, default="stop", help="of Ctrl-C and SIGTERM: a snapshot and on, "
        "a snapshot and the end (default), none")  # fmt: skip
    add("--sighup-effect", choices=EFFECTS, default="snapshot", help="of SIGHUP; default: snapshot")
    add("--max-hours", type=real(0, above=True), metavar="H", help="stop with a snapshot after H hours, "
        f"with status {TIME_IS_UP}")  # fmt: skip
    add("--disk-wait", type=real(0), default=30.0, metavar="MIN", help="go on for MIN minutes without being "
        "able to write a snapshot, then stop. Default: 30")  # fmt: skip
    add("--strict", action="store_true", help="do not start where a known cause of a low score is found (what "
        "fcn verify looks for); default: warn")  # fmt: skip


def read_session(args: argparse.Namespace) -> Session:
    """What the options of `add_session` say, from now on."""
    return Session(
        sigint=args.sigint_effect,
        sighup=args.sighup_effect,
        until=math.inf if args.max_hours is None else time.monotonic() + 3600 * args.max_hours,
        keep_last=args.keep_last,
        disk_wait=60 * args.disk_wait,
        retry=min(60.0, max(1.0, 6 * args.disk_wait)),
        strict=args.strict,
    )


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
    session = read_session(args)
    compute_on(args.gpu)
    check_folder(Path(args.resume) if resumes_run(args) else args.runs)
    changes = {"max_iter": args.iters, "snapshot": args.snapshot, "test_every": args.test_every}
    if resumes_run(args):
        resume_run(Path(args.resume), session, **changes)
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
    train_chain([(job, Run(args.runs / job.model)) for job in jobs], data, args.resume, session)
    return 0


def main(argv: Sequence[str] | None = None, prog: str = "fcn train") -> int:
    """Train what the arguments say; returns the exit status."""
    args = parse(argv, prog)
    show_progress()
    return carry_out(prog, lambda: run(args))
