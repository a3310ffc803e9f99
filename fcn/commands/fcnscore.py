"""The FCN score of generated street scenes, as pix2pix and CycleGAN report it on Cityscapes.

    fcn fcnscore generated/ --cityscapes-dir cityscapes --weights fcn-8s-cityscapes.caffemodel -o score

`generated` holds 256 x 256 images CITY_SHOT_FRAME_leftImg8bit.png. Each is made as large as its label map,
gtFine/val/CITY/*_labelIds.png, and segmented by an FCN-8s that was trained on real ones. `score` gets
evaluation_results.txt, with the numbers of pix2pix's own script, and the tables of fcn score.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ..cityscapes.evaluation import Judged, given_to_none, judge, protocol_text
from ..cityscapes.labels import Generated, StreetLabels
from ..outputs import check_folder, replace_text
from .options import add_devices, add_precision, add_verbosity, carry_out, parser, settings, show_progress

RESULTS = "evaluation_results.txt"


def arguments(prog: str) -> argparse.ArgumentParser:
    command = parser(prog, __doc__)
    command.add_argument("images", type=Path, help="folder of generated images, ID_leftImg8bit.png")
    command.add_argument(
        "--cityscapes-dir", type=Path, required=True, metavar="DIR", help="with gtFine in it"
    )
    command.add_argument("--split", default="val", help="of gtFine (val)")
    command.add_argument("--weights", type=Path, required=True, help="of the FCN-8s (docs/scoring.md)")
    command.add_argument("--net", type=Path, metavar="FILE", help="its deploy prototxt (default: our own)")
    command.add_argument(
        "-o", "--out", type=Path, required=True, metavar="DIR", help="for tables and results"
    )
    command.add_argument("--save", type=Path, metavar="DIR", help="write the net's label maps, as train ids")
    add_devices(command)
    add_precision(command)
    add_verbosity(command)
    return command


def run(args: argparse.Namespace) -> int:
    for folder in filter(None, (args.out, args.save)):
        check_folder(folder)
    labels, images = StreetLabels(args.cityscapes_dir, args.split), Generated(args.images)
    card = judge(Judged(labels, images, args.weights, args.net, args.save), settings(args))
    text = protocol_text(card.tally)
    card.write(args.out)
    replace_text(args.out / RESULTS, text)
    print(text, end="")
    if lost := given_to_none(card.tally):
        print(
            f"{lost} pixels were given to the score that no class has, which {RESULTS} counts as pix2pix's "
            "script does, and score.txt as wrong",
            file=sys.stderr,
        )
    print(f"written to {args.out}", file=sys.stderr)
    return 0


def main(argv: Sequence[str] | None = None, prog: str = "fcn fcnscore") -> int:
    """Score the images that the arguments name; returns the exit status."""
    args = arguments(prog).parse_args(argv)
    show_progress(args.verbosity)
    return carry_out(prog, lambda: run(args))
