"""Draw what runs wrote of themselves while they were trained: curves of several in one picture.

    fcn plot runs/voc-fcn8s
    fcn plot runs/voc-fcn32s other-runs/voc-fcn32s -o rates.png --smooth 20
    fcn plot runs --metric "mean IU" --metric loss -o chain.svg

A folder that holds runs stands for all of them, each drawn after the one whose weights it started from: a
chain is one curve. Columns are those of curves.csv and scores.csv; docs/reports.md says what they mean.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from nets.arguments import whole

from ..outputs import check_folder
from ..plotting import History, draw_histories, histories
from ..tables import tails
from .options import add_verbosity, carry_out, parser, show_progress


def arguments(prog: str) -> argparse.ArgumentParser:
    command = parser(prog, __doc__)
    add = command.add_argument
    add("runs", nargs="+", type=Path, metavar="RUN", help="a run's folder, or one that holds runs")
    add(
        "-o",
        "--output",
        type=Path,
        default=Path("curves.png"),
        metavar="FILE",
        help=".png, .svg or .pdf; default: curves.png",
    )
    add(
        "--metric",
        action="append",
        default=[],
        metavar="NAME",
        help="a column, drawn in a panel of its own; may be repeated (default: loss_per_pixel and mean IU)",
    )
    add("--smooth", type=whole(1), default=1, metavar="N", help="the mean of N values around each, over them")
    scale = command.add_mutually_exclusive_group()
    scale.add_argument(
        "--log", action="store_true", default=None, help="logarithmic values (default: of losses)"
    )
    scale.add_argument("--linear", dest="log", action="store_false", help="linear values, of losses too")
    add_verbosity(command)
    return command


def run(args: argparse.Namespace) -> int:
    check_folder(args.output.parent)
    found = {path: histories(path) for path in dict.fromkeys(args.runs)}
    made = draw_histories(named(found), args.output, args.metric, args.smooth, args.log)
    if made is None:
        return 1  # it has been said what is missing
    print(made)
    return 0


def named(found: dict[Path, list[History]]) -> list[History]:
    """All histories, with names that tell them apart."""
    stages = list({one.run.path.absolute(): one for group in found.values() for one in group}.values())
    names = tails([stage.run.path for stage in stages])
    return [History(name, stage.run, stage.start) for name, stage in zip(names, stages)]


def main(argv: Sequence[str] | None = None, prog: str = "fcn plot") -> int:
    """Draw the runs that the arguments name; returns the exit status."""
    args = arguments(prog).parse_args(argv)
    show_progress(args.verbosity)
    return carry_out(prog, lambda: run(args))
