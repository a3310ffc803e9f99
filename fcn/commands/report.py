"""A scored run as one page for people, a file that any browser opens and that asks no network.

    fcn report runs/voc-fcn8s
    fcn report runs/voc-fcn8s --split train -o pages

The page has the numbers beside the paper's, the best, median and worst images with truth, prediction and
errors to slide over each other, classes, confusion, learning curves, the findings of fcn verify and the
recipe. It is of the score in RUN/score-SPLIT; where that is missing, or of older weights, the run is scored.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from ..outputs import check_folder
from ..report import of_run, write
from ..report.page import template
from .options import add_device, add_precision, add_verbosity, carry_out, computing, parser, show_progress


def parse(argv: Sequence[str] | None, prog: str) -> argparse.Namespace:
    command = parser(prog, __doc__)
    add = command.add_argument
    add("run", type=Path, metavar="RUN", help="a run's folder")
    add("--split", help="one of the lists of its data (default: the one it was scored on during training)")
    add("-o", "--out", type=Path, metavar="DIR", help="where report.html goes (default: RUN/score-SPLIT)")
    add_device(command)
    add_precision(command)
    add_verbosity(command)
    return command.parse_args(argv)


def run(args: argparse.Namespace) -> int:
    check_folder(args.out or args.run)
    template()  # what it takes is looked for before the work
    with computing(args.gpu, args.precision):
        report = of_run(args.run, args.split)
    print(write(report, args.out or args.run / f"score-{report.card.split}"))
    return 0


def main(argv: Sequence[str] | None = None, prog: str = "fcn report") -> int:
    """Write the page of the run that the arguments name; returns the exit status."""
    args = parse(argv, prog)
    show_progress(args.verbosity)
    return carry_out(prog, lambda: run(args))
