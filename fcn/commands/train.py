"""Train FCNs. No model named: the chain FCN-32s, then 16s, then 8s.

    fcn train --data my-images --weights VGG_ILSVRC_16_layers.caffemodel --gpu 0
    fcn train voc-fcn32s --voc-dir VOCdevkit/VOC2011 --sbd-dir benchmark_RELEASE/dataset --weights ...
    fcn train siftflow-fcn32s siftflow-fcn16s siftflow-fcn8s --siftflow-dir SiftFlow --weights ...
    fcn train --data my-images --from runs/voc-fcn8s --runs my-runs
    fcn train --resume runs/voc-fcn32s
    fcn train --data my-images --weights ... --gpu 0,1,2,3
    torchrun --nproc-per-node 4 solve.py --data my-images --weights ... --gpu all

Each stage starts from the newest snapshot of the one before it, the first from a classifier's caffemodel
(--weights), or from a net for other classes, of which it keeps all but the scores (--from). To one's own
images (--data) the recipes are fitted, as docs/training.md says. Everything a stage writes goes to
RUNS/<model>/, which knows what it is: to go on with it takes nothing but its name.
"""

from __future__ import annotations

import argparse
import logging
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import nets
import solvers
from nets.arguments import pair, real, seed, whole
from nets.arguments import width as positive
from voc_layers.augment import SCALES
from voc_layers.facts import VOID

from ..data import TrainingData
from ..data.sets import FOLDER_OPTIONS, SETS, check_given, dataset_of
from ..engine import checkpointing
from ..outputs import check_folder
from ..ranks import ALONE, Team, World, launch
from ..runs import Run
from ..train import (
    Session,
    announce,
    chain,
    default_models,
    from_other_classes,
    load_of,
    recipes,
    resume_run,
    suited_kind,
    suited_trunk,
    train_chain,
)
from ..train.events import need_tensorboard
from ..train.session import EFFECTS
from ..train.stopping import TIME_IS_UP
from .options import (
    add_device,
    add_precision,
    add_verbosity,
    carry_out,
    computing,
    entered,
    parser,
    show_progress,
)

#: What a run knows of itself, and the value that means "not given".
KNOWN_TO_A_RUN: dict[str, object] = {
    "models": [], "recipe": None, "weights": None, "data": None, **dict.fromkeys(FOLDER_OPTIONS),
    "val_split": None, "classes": None, "width": None, "base_lr": None, "seed": None, "cache": None,
    "runs": Path("runs"), "start": None, "keep_classes": None, "mirror": None, "scale": None, "crop": None,
    "batch": None, "precision": None,
}  # fmt: skip
#: How images to train on are read: keys of the data layer, which are options here.
READING = ("cache", "mirror", "scale", "crop", "batch")


def arguments(prog: str) -> argparse.ArgumentParser:
    command = parser(prog, __doc__)
    add = command.add_argument
    add(
        "models",
        nargs="*",
        metavar="MODEL",
        help=f"of {', '.join(solvers.RECIPES)}; default: {' '.join(nets.CHAIN)}",
    )
    add_device(command, many=True)
    add_precision(command, default=None)
    add(
        "--checkpoint",
        action="store_true",
        help="train in less memory: drop blobs, and compute them again when needed; the training is the same",
    )
    add("--recipe", choices=solvers.KINDS, help="default: the one the model was published with; with "
        "--data and a narrow --width, light; with --from, the run's")  # fmt: skip
    start = command.add_mutually_exclusive_group()
    start.add_argument("--weights", type=Path, metavar="FILE", action="append", help="what the first model "
        "starts from, or a run's folder; once for each, where it starts from two nets")  # fmt: skip
    start.add_argument(
        "--from",
        dest="start",
        type=Path,
        metavar="FILE",
        help="the same, of a net for other classes: all is kept but the scores; without MODEL, the run's own",
    )
    add(
        "--keep-classes",
        type=lambda text: text.split(","),
        metavar="A,B=C",
        help="with --from: classes that keep their scores; B=C where B is called C there",
    )
    add("--iter-size", type=whole(1), metavar="N", help="batches whose gradients a step averages, in each "
        "process (default: the recipe's)")  # fmt: skip
    add("--iters", type=whole(1), metavar="N", help="train each model up to N steps (default: its recipe's)")
    add("--resume", metavar="RUN|auto|FILE", help="go on with the run in a folder, and give nothing else; "
        "or from each run's newest .solverstate, or from FILE")  # fmt: skip
    add("--runs", type=Path, default=Path("runs"), metavar="DIR", help="default: runs")
    add("--data", type=Path, metavar="DIR", help="own images in VOC layout, instead of VOC and SBD")
    add("--voc-dir", type=Path, metavar="DIR", help="PASCAL VOC; default: data/pascal/VOC2011")
    add("--sbd-dir", type=Path, metavar="DIR", help="SBD; default: data/sbdd/dataset")
    add("--nyud-dir", type=Path, metavar="DIR", help="NYUDv2; default: data/nyud")
    add("--siftflow-dir", type=Path, metavar="DIR", help="SIFT Flow; default: data/sift-flow")
    add("--context-dir", type=Path, metavar="DIR", help="PASCAL-Context; default: data/pascal-context")
    add("--val-split", metavar="NAME", help="default: seg11valid, or val with --data, or the model's own")
    add(
        "--classes",
        type=whole(2, VOID),
        metavar="N",
        help="default: lines of classes.txt, or PASCAL VOC's 21",
    )
    add(
        "--width",
        type=positive,
        metavar="X",
        help="multiply all widths of the trunk; default: 1, with --from the run's",
    )
    add(
        "--base-lr",
        type=real(0),
        metavar="R",
        help="of the first model; the others keep their recipes' ratio",
    )
    _add_reading(command)
    add("--snapshot", type=whole(), metavar="N", help="a snapshot every N steps (default: the recipe's)")
    add("--test-every", type=whole(), metavar="N", help="score every N steps and at the end; 0: never")
    add("--seed", type=seed, help="of the training order, dropout and fillers; default: 1337")
    add_session(command)
    add_verbosity(command)
    return command


def parse(argv: Sequence[str] | None, prog: str) -> argparse.Namespace:
    command = arguments(prog)
    args = command.parse_args(argv)
    given = [key for key, absent in KNOWN_TO_A_RUN.items() if getattr(args, key) != absent]
    if resumes_run(args) and given:
        command.error(f"--resume {args.resume}: the run knows its own {', '.join(given)}; leave that out")
    if args.keep_classes and args.start is None:
        command.error("--keep-classes: of which net? Give it with --from")
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
    add("--strict", action="store_true", help="do not start where a known cause of a low score is "
        "found, those of fcn verify; default: warn")  # fmt: skip
    add("--tensorboard", action="store_true", help="write events for TensorBoard too, into RUN/tensorboard")


def read_session(args: argparse.Namespace, team: Team = ALONE) -> Session:
    """What the options of `add_session` say, from now on, to the processes of a team."""
    return Session(
        sigint=args.sigint_effect,
        sighup=args.sighup_effect,
        until=math.inf if args.max_hours is None else time.monotonic() + 3600 * args.max_hours,
        keep_last=args.keep_last,
        disk_wait=60 * args.disk_wait,
        retry=min(60.0, max(1.0, 6 * args.disk_wait)),
        strict=args.strict,
        tensorboard=args.tensorboard and team.root,
        team=team,
    )


def _add_reading(to: argparse.ArgumentParser) -> None:
    """How images to train on are read and changed; by default as they are, one at a time, as in the paper."""
    images = to.add_argument_group("images to train on")
    add = images.add_argument
    add("--mirror", action="store_true", default=None, help="left and right exchanged in half of them")
    factors = pair(",", real(*SCALES), "0.5,2")
    add("--scale", type=factors, metavar="MIN,MAX", help="sides times a factor drawn between these")
    add("--crop", type=pair("x", whole(1), "321x321"), metavar="HxW", help="a piece of this size, anywhere")
    batch = "images of a batch; the smaller ones are filled up with the mean, and void, to the largest"
    add("--batch", type=whole(1), metavar="N", help=batch)
    cache = "keep decoded images in memory, at most so many MiB; the training is the same"
    add("--cache", type=whole(1), metavar="MIB", help=cache)


def resumes_run(args: argparse.Namespace) -> bool:
    """Whether --resume names a folder: a run, which needs no further description."""
    return args.resume not in (None, "auto") and Path(args.resume).is_dir()


def read_data(args: argparse.Namespace) -> TrainingData:
    """What the options name.

    Raises:
        ValueError: options that do not go with the models.
    """
    models = args.models or list(nets.CHAIN)
    given = {name: getattr(args, name) for name in FOLDER_OPTIONS if getattr(args, name) is not None}
    check_given(models, given)
    published = dataset_of(models[0])
    if published is SETS["voc"]:
        if args.data is not None:
            return TrainingData.own(args.data, args.val_split or "val", args.classes)
        at = {**published.folders, **given}
        split = args.val_split or published.splits[1]
        return TrainingData.pascal(at["voc_dir"], at["sbd_dir"], split, args.classes)
    for name in ("data", "classes"):
        if getattr(args, name) is not None:
            raise ValueError(
                f"--{name}: {models[0]} reads {published.title} and has its classes; for other images train "
                "voc-fcn32s, voc-fcn16s and voc-fcn8s"
            )
    return TrainingData.published(models[0], given, args.val_split)


def run(args: argparse.Namespace, world: World) -> int:
    precision, team = args.precision or "float32", Team(world)
    with (
        computing(world.device(args.gpu), precision),
        entered(checkpointing(args.checkpoint), "--checkpoint"),
    ):
        team.meet()
        if world.restarts and args.resume is None:
            args.resume = "auto"
        with team.busy("getting ready"):
            return train(args, precision, team)


def train(args: argparse.Namespace, precision: str, team: Team = ALONE) -> int:
    """Train what the arguments say, each net in `precision`; a run that goes on, in its own."""
    session = read_session(args, team)
    if session.tensorboard:
        need_tensorboard()
    check_folder(Path(args.resume) if resumes_run(args) else args.runs)
    changes = {"max_iter": args.iters, "snapshot": args.snapshot, "test_every": args.test_every,
               "iter_size": args.iter_size}  # fmt: skip
    if resumes_run(args):
        resume_run(Path(args.resume), session, **changes)
        return 0
    if args.start is not None and not args.start.exists():
        raise FileNotFoundError(f"--from {args.start}: neither a file nor the folder of a run")
    data = read_data(args)
    reading = {key: getattr(args, key) for key in READING if getattr(args, key) is not None}
    width, trunk = suited_trunk(args.width, args.start)
    models = args.models or (default_models(args.start) if args.start else nets.CHAIN)
    load = load_of(data, width, reading)
    kind = args.recipe or (suited_kind(width, args.start) if load else None)
    rows = recipes(models, kind, args.base_lr, load, **changes)
    jobs = chain(
        rows,
        data,
        weights=args.start or args.weights,
        width=width,
        seed=1337 if args.seed is None else args.seed,
        reading=reading,
    )
    jobs = [replace(job, trunk=trunk) for job in jobs]
    if args.start is not None:
        jobs[0] = from_other_classes(jobs[0], args.keep_classes or ())
    if load is not None:
        announce(rows, load)
    stages = [(replace(job, precision=precision), Run(args.runs / job.model)) for job in jobs]
    train_chain(stages, data, args.resume, session)
    return 0


def main(argv: Sequence[str] | None = None, prog: str = "fcn train") -> int:
    """Train what the arguments say; returns the exit status."""
    args = parse(argv, prog)
    return carry_out(prog, lambda: start(args, argv, prog))


def start(args: argparse.Namespace, argv: Sequence[str] | None, prog: str) -> int:
    """Train in this process, or where several GPUs are named in one for each; returns the exit status."""
    world = World.of()
    show_progress(args.verbosity if world.rank == 0 else logging.WARNING)
    if world.launched:
        return carry_out(f"{prog}, rank {world.rank} of {world.count}", lambda: run(args, world))
    if args.gpu == ():
        raise ValueError("--gpu all: it is for processes that torchrun starts; name the GPUs, as in 0,1,2,3")
    if args.gpu is not None and args.gpu[1:]:
        return launch(len(args.gpu), sys.argv[1:] if argv is None else argv, prog)
    return run(args, world)
