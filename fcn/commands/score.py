"""Score a run, weights, or saved predictions against labels.

    fcn score runs/voc-fcn8s
    fcn score fcn8s-heavy-pascal.caffemodel --model voc-fcn8s --voc-dir VOCdevkit/VOC2011
    fcn score predictions/ --data my-images --split val
    fcn score predictions/ --labels labels/ --classes classes.txt
    fcn score runs/voc-fcn8s --gpu 0,1 --trimap 1,2,4,8,16,32
    torchrun --nproc-per-node 4 score.py runs/voc-fcn8s --gpu all

A run is scored on the images it was scored on during training, with its own classes. `--data` and `--voc-dir`
both name a folder in VOC layout; for a model of NYUDv2, SIFT Flow or PASCAL-Context, one in that layout.
A net with two labelings (SIFT Flow) gets a table for each. docs/scoring.md says what each number is.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path

from nets.arguments import several, whole

from ..outputs import check_folder
from ..ranks import ALONE, Team
from ..report import of_score, write
from ..report.page import template
from ..runs import Run
from ..score import ScoreRequest, contribute, score
from ..score.trimap import USUAL
from .options import (
    add_devices,
    add_format,
    add_net,
    add_precision,
    add_verbosity,
    as_one,
    parser,
    plain,
    settings,
    show_progress,
)


def arguments(prog: str) -> argparse.ArgumentParser:
    command = parser(prog, __doc__)
    command.add_argument("target", type=Path, help="a run's folder, a weights file, or a folder of PNGs")
    against = command.add_argument_group("what to score against")
    against.add_argument(
        "--data",
        "--voc-dir",
        type=Path,
        metavar="DIR",
        help="in VOC layout, or that of the model's data set (default: the run's own)",
    )
    against.add_argument("--context-dir", type=Path, metavar="DIR", help="PASCAL-Context's annotations")
    against.add_argument("--split", help="one of its lists (default: the run's, else seg11valid or val)")
    against.add_argument("--labels", type=Path, metavar="DIR", help="folder of label PNGs instead of --data")
    against.add_argument("--classes", type=Path, help="class names for --labels (default: PASCAL VOC's)")
    against.add_argument("--limit", type=whole(1), metavar="N", help="score the first N images only")
    against.add_argument("--sbd-dir", type=Path, help="warn of images trained on (default: the run's list)")
    command.add_argument(
        "--trimap",
        type=several(whole(1)),
        default=(),
        metavar="W[,W...]",
        help="score the pixels at most W from a boundary too, for each width (default: none; with --report "
        f"{','.join(map(str, USUAL))})",
    )
    add_net(command)
    add_devices(command)
    add_precision(command)
    command.add_argument("--save", type=Path, metavar="DIR", help="write the predictions as palette PNGs")
    command.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="write score.txt, .json, .csv, images.csv and more (default for a run: score-SPLIT in it)",
    )
    command.add_argument(
        "--report",
        type=Path,
        metavar="DIR",
        help="write report.html too, a page for people: see fcn report",
    )
    add_format(command, "csv")
    add_verbosity(command)
    return command


def run(args: argparse.Namespace, team: Team = ALONE) -> int:
    is_run = Run(args.target).net("deploy").is_file()
    for folder in (args.save, args.report, args.out or (args.target if is_run else None)):
        if folder is not None:
            check_folder(folder)
    if args.report:
        template()  # what it takes is looked for before the work
    request = ScoreRequest(
        args.target,
        data=args.data,
        annotations=args.context_dir,
        split=args.split,
        labels=args.labels,
        class_file=args.classes,
        limit=args.limit,
        trained_on=args.sbd_dir,
        net=args.net,
        model=args.model,
        save=args.save,
        trimap=args.trimap or (USUAL if args.report else ()),
    )
    if not team.root:
        contribute(request, team)
        return 0
    where = [nullcontext] if team.world.launched else settings(args)
    card = score(request, where, team)
    print({"text": lambda: plain(card.text()), "json": card.json, "csv": card.csv}[args.format](), end="")
    out = args.out or (args.target / f"score-{card.split}" if is_run else None)
    if out:
        print(f"written to {card.write(out)}", file=sys.stderr)
    if args.report:
        with where[0]():
            print(write(of_score(request, card), args.report), file=sys.stderr)
    return 0


def main(argv: Sequence[str] | None = None, prog: str = "fcn score") -> int:
    """Score what the arguments name; returns the exit status."""
    args = arguments(prog).parse_args(argv)
    show_progress(args.verbosity)
    return as_one(prog, args, partial(run, args))
