"""Check a folder of images and labels, or draw one to try things out.

fcn data check my-images
fcn data draw shapes --seed 0
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from nets.arguments import seed, whole
from voc_layers.folder import Split, VocFolder

from ..data import check_split
from ..demo import make_dataset
from ..outputs import check_folder
from .options import carry_out, parser


def check(args: argparse.Namespace) -> int:
    """Read every image and label, print what is in them; 1 where something is wrong."""
    folder = VocFolder.open(args.folder)
    folder.require_layout()
    splits = [Split(folder, name, tuple(folder.ids(name))) for name in args.split or ("train", "val")]
    checks = [check_split(split) for split in splits]
    print("\n\n".join(check.text(folder.classes) for check in checks))
    return int(any(check.problems for check in checks))


def draw(args: argparse.Namespace) -> int:
    """Draw the demo's images."""
    check_folder(args.folder)
    print(make_dataset(args.folder, args.seed, args.train, args.val, args.class_images))
    return 0


def parse(argv: Sequence[str] | None, prog: str) -> argparse.Namespace:
    top = parser(prog, __doc__)
    commands = top.add_subparsers(required=True)
    command = commands.add_parser("check", help="read and check every image and label")
    command.set_defaults(run=check)
    command.add_argument("folder", type=Path, metavar="DIR", help="in VOC layout")
    command.add_argument("--split", action="append", metavar="NAME", help="default: train and val")
    command = commands.add_parser("draw", help="draw the demo's images, in VOC layout")
    command.set_defaults(run=draw)
    command.add_argument("folder", type=Path, metavar="DIR")
    command.add_argument("--seed", type=seed, default=0)
    command.add_argument("--train", type=whole(1), default=480, help="images to train on")
    command.add_argument("--val", type=whole(1), default=120, help="images held out")
    command.add_argument("--class-images", type=whole(), default=4000, help="images for a classifier")
    return top.parse_args(argv)


def main(argv: Sequence[str] | None = None, prog: str = "fcn data") -> int:
    """Do with a data set what the arguments say; returns the exit status."""
    args = parse(argv, prog)
    return carry_out(prog, lambda: args.run(args))
