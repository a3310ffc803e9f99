"""The best mean IU that predictions at a coarse stride could have (the paper's appendix A).

    fcn bound --data VOCdevkit/VOC2011
    fcn bound --data my-data --split train --factors 32,16,8

The true label maps are made coarse by each factor and fine again, and scored against themselves. No net is
needed.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from nets.arguments import several, whole
from voc_layers.folder import VocFolder

from ..score.bound import PUBLISHED, bound
from .options import add_format, add_verbosity, carry_out, parser, show_progress


def arguments(prog: str) -> argparse.ArgumentParser:
    command = parser(prog, __doc__)
    command.add_argument(
        "--data", "--voc-dir", type=Path, required=True, metavar="DIR", help="a folder in VOC layout"
    )
    command.add_argument("--split", help="one of its lists (default: seg11valid or val)")
    command.add_argument(
        "--factors",
        type=several(whole(1)),
        default=tuple(PUBLISHED),
        metavar="F[,F...]",
        help=f"default: {','.join(map(str, PUBLISHED))}",
    )
    add_format(command)
    add_verbosity(command)
    return command


def run(args: argparse.Namespace) -> int:
    folder = VocFolder.open(args.data)
    folder.require_layout()
    name = args.split or folder.default_split
    folder.ids(name)  # says what is missing
    found = bound(folder.split(name), args.factors)
    print(found.text() if args.format == "text" else json.dumps(found.as_dict(), indent=2) + "\n", end="")
    return 0


def main(argv: Sequence[str] | None = None, prog: str = "fcn bound") -> int:
    """Print the bounds for the folder that the arguments name; returns the exit status."""
    args = arguments(prog).parse_args(argv)
    show_progress(args.verbosity)
    return carry_out(prog, lambda: run(args))
