"""Compare runs on the same images: four numbers each, and whether the differences are more than chance.

    fcn compare runs/voc-fcn32s runs/voc-fcn16s runs/voc-fcn8s
    fcn compare runs/a/score-val runs/b/score-val --format json

Each run is a run's folder, or one that fcn score wrote. A run that has not been scored is scored first. The
intervals are of 95 %: the images are drawn anew, the same for all runs (docs/scoring.md).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from nets.arguments import seed, whole

from ..compare.comparison import compare
from ..compare.found import find_score
from ..outputs import replace_text
from .options import (
    add_devices,
    add_format,
    add_precision,
    add_verbosity,
    carry_out,
    parser,
    settings,
    show_progress,
)


def arguments(prog: str) -> argparse.ArgumentParser:
    command = parser(prog, __doc__)
    command.add_argument(
        "runs", nargs="+", type=Path, metavar="RUN", help="a run's folder, or that of a score"
    )
    command.add_argument(
        "--data", "--voc-dir", type=Path, metavar="DIR", help="score all on this folder (default: their own)"
    )
    command.add_argument("--split", help="on this list (default: the one that a run was scored on)")
    command.add_argument("--draws", type=whole(100), default=2000, metavar="N", help="of the images (2000)")
    command.add_argument("--seed", type=seed, default=0, help="of the draws (0)")
    add_devices(command)
    add_precision(command)
    add_format(command)
    command.add_argument("--out", type=Path, metavar="FILE", help="write it as JSON too")
    add_verbosity(command)
    return command


def parse(argv: Sequence[str] | None, prog: str) -> argparse.Namespace:
    command = arguments(prog)
    args = command.parse_args(argv)
    if len(args.runs) < 2:
        command.error("RUN: expected two runs or more")
    return args


def run(args: argparse.Namespace) -> int:
    how = settings(args)
    found = [(str(path), find_score(path, args.data, args.split, how)) for path in args.runs]
    comparison = compare(found, args.draws, args.seed)
    if args.out:
        replace_text(args.out, comparison.json())
    print(comparison.text() if args.format == "text" else comparison.json(), end="")
    return 0


def main(argv: Sequence[str] | None = None, prog: str = "fcn compare") -> int:
    """Compare the runs that the arguments name; returns the exit status."""
    args = parse(argv, prog)
    show_progress(args.verbosity)
    return carry_out(prog, lambda: run(args))
