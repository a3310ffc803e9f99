"""The paper on a laptop, from an image classifier to FCN-8s, on drawn images.

    fcn demo --seed 0

(1) Train a small VGG-style classifier on image labels; (2) make it convolutional and train FCN-32s; (3)
FCN-16s from it; (4) FCN-8s from that. Ends with the paper's Table 2 on images that training never saw, loss
and IU curves, and a contact sheet. All of it is in RUNS/demo/seed-N.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from nets.arguments import seed

from ..demo import FULL, QUICK, make_dataset, report, shortfalls, train
from ..engine import quiet
from ..outputs import check_folder
from ..score import summary
from ..sharding import cores
from .options import add_device, add_precision, add_verbosity, carry_out, computing, parser

#: Processes that draw, at most: starting more takes longer than they save.
MOST_PENS = 8


def arguments(prog: str) -> argparse.ArgumentParser:
    command = parser(prog, __doc__)
    command.add_argument("--runs", type=Path, default=Path("runs"), metavar="DIR", help="default: runs")
    command.add_argument("--seed", type=seed, default=0, help="of the data, weights and training order")
    command.add_argument("--quick", action="store_true", help="a quarter of the work, a coarser result")
    command.add_argument("--check", action="store_true", help="fail unless IU rises with each finer stride")
    add_device(command)
    add_precision(command)
    add_verbosity(command)
    return command


def run(args: argparse.Namespace) -> int:
    """Run the demo; 1 if `--check` was asked for and the paper's effect is missing."""
    with computing(args.gpu, args.precision):
        return demonstrate(args)


def demonstrate(args: argparse.Namespace) -> int:
    """Draw, train and report, on the device that is set."""
    check_folder(args.runs)
    setting, begun = QUICK if args.quick else FULL, time.monotonic()
    name = f"seed-{args.seed}{'-quick' if args.quick else ''}"
    root = args.runs / "demo" / (name if args.precision == "float32" else f"{name}-{args.precision}")
    print(f"drawing {setting.train} + {setting.val} scenes and {setting.crops} single objects", flush=True)
    counts = setting.train, setting.val, setting.crops
    folder = make_dataset(root / "data", args.seed, *counts, jobs=min(cores(), MOST_PENS))
    with quiet():
        train(folder, root, setting, args.seed, args.precision)
        rows = report(folder, root)
    print(f"\n{summary(rows)}\n")
    minutes = (time.monotonic() - begun) / 60
    print(f"{setting.val} images that training never saw; {minutes:.1f} minutes; all in {root}")
    wrong = shortfalls(rows, setting) if args.check else []
    for line in wrong:
        print(f"not as in the paper: {line}", file=sys.stderr)
    return int(bool(wrong))


def main(argv: Sequence[str] | None = None, prog: str = "fcn demo") -> int:
    """Run the demo; returns the exit status."""
    args = arguments(prog).parse_args(argv)
    logging.basicConfig(level=args.verbosity, format="%(message)s", stream=sys.stdout)
    return carry_out(prog, lambda: run(args))
