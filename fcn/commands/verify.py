"""Look for the known causes of a low score, or of black output, in a run.

    fcn verify runs/voc-fcn8s
    fcn verify runs/voc-fcn8s --images 20 --json

Each check is PASS, FAIL or UNKNOWN, with the numbers that say so and what to do. The exit status is 1 where
one failed. docs/troubleshooting.md goes from symptoms to checks.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from nets.arguments import whole

from ..verify import verify
from .options import add_device, add_verbosity, carry_out, compute_on, parser, show_progress


def arguments(prog: str) -> argparse.ArgumentParser:
    command = parser(prog, __doc__)
    command.add_argument("run", type=Path, help="a run's folder, or one of its snapshots")
    many = "run the net on the first N images that it is scored on; default: 5"
    command.add_argument("--images", type=whole(1), default=5, metavar="N", help=many)
    command.add_argument("--json", action="store_true", help="for programs")
    add_device(command)
    add_verbosity(command)
    return command


def run(args: argparse.Namespace) -> int:
    compute_on(args.gpu)
    report = verify(args.run, args.images)
    print(json.dumps(report.as_json(), indent=2) + "\n" if args.json else report.text(), end="")
    return 0 if report.is_sound else 1


def main(argv: Sequence[str] | None = None, prog: str = "fcn verify") -> int:
    """Check the run that the arguments name; returns the exit status."""
    args = arguments(prog).parse_args(argv)
    show_progress(args.verbosity)
    return carry_out(prog, lambda: run(args))
