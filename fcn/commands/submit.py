"""Make what PASCAL VOC's evaluation server takes: predictions of a list without labels, and the archive.

    fcn submit runs/voc-fcn8s --voc-dir VOCdevkit/VOC2012 -o submission
    fcn submit fcn8s-heavy-pascal.caffemodel --model voc-fcn8s --voc-dir VOCdevkit/VOC2012 -o submission
    fcn submit predictions/ --voc-dir VOCdevkit/VOC2012 -o submission

`submission` gets results/VOC2012/Segmentation/comp6_test_cls/ID.png, whose ids, sizes and classes are
checked, and comp6_test_cls.tar.gz to upload.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from ..submit.layout import COMPETITIONS, Submission
from ..submit.making import Source, make
from .options import (
    add_devices,
    add_net,
    add_precision,
    add_verbosity,
    carry_out,
    parser,
    settings,
    show_progress,
)


def year(text: str) -> str:
    """A year of the challenge, as in VOC2012."""
    if not re.fullmatch(r"VOC20\d\d", text):
        raise argparse.ArgumentTypeError(f"expected a year as in VOC2012, found '{text}'")
    return text


def arguments(prog: str) -> argparse.ArgumentParser:
    command = parser(prog, __doc__)
    command.add_argument("target", type=Path, help="a run's folder, a weights file, or a folder of PNGs")
    command.add_argument(
        "--voc-dir", "--data", type=Path, required=True, metavar="DIR", help="the images, in VOC layout"
    )
    command.add_argument("--split", default="test", help="one of its lists (test); needs no label maps")
    command.add_argument("-o", "--out", type=Path, required=True, metavar="DIR", help="where it is made")
    command.add_argument(
        "--competition",
        choices=COMPETITIONS,
        default="comp6",
        help="comp5: trained on VOC's own data alone; comp6: on any (default)",
    )
    command.add_argument("--year", type=year, default="VOC2012", help="of the challenge (VOC2012)")
    add_net(command)
    add_devices(command)
    add_precision(command)
    add_verbosity(command)
    return command


def run(args: argparse.Namespace) -> int:
    submission = Submission(args.out, args.split, args.competition, args.year)
    source = Source(args.target, args.voc_dir, args.net, args.model)
    print(f"{make(source, submission, settings(args))}: upload this")
    return 0


def main(argv: Sequence[str] | None = None, prog: str = "fcn submit") -> int:
    """Make the submission that the arguments ask for; returns the exit status."""
    args = arguments(prog).parse_args(argv)
    show_progress(args.verbosity)
    return carry_out(prog, lambda: run(args))
