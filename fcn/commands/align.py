"""Where the maps of a net lie over its image, and whether its crops line them up.

    fcn align voc-fcn8s
    fcn align my-net.prototxt --size 375x500 --json

For each map that is enlarged, cut or added to another: pixels of the image from one of its indices to the
next (stride), where its index 0 lies (0 is the centre of the first pixel), and its shape at the size. For
each crop: its offset, the one that lines the two maps up, and the offsets that fit at this size, and at every
size from there on. The exit status is 1 where something is wrong.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

from nets.arguments import pair, whole

from ..align import align
from .options import carry_out, parser


def arguments(prog: str) -> argparse.ArgumentParser:
    command = parser(prog, __doc__)
    command.add_argument("net", metavar="MODEL", help="a model's id, a prototxt, or the folder of a run")
    size = "of the image (default: 500x500)"
    command.add_argument(
        "--size", type=pair("x", whole(1), "375x500"), default=(500, 500), metavar="HxW", help=size
    )
    command.add_argument("--json", action="store_true", help="for programs")
    return command


def run(args: argparse.Namespace) -> int:
    found = align(args.net, args.size)
    print(json.dumps(found.as_json(), indent=2) + "\n" if args.json else found.text(), end="")
    return int(bool(found.problems))


def main(argv: Sequence[str] | None = None, prog: str = "fcn align") -> int:
    """Show where the maps of a net lie; returns the exit status."""
    args = arguments(prog).parse_args(argv)
    return carry_out(prog, lambda: run(args))
