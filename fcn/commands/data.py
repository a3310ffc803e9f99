"""Get a published data set, check a folder of images and labels, or draw one to try things out.

fcn data get voc2011 -o data
fcn data get sbd -o data --archive ~/Downloads/benchmark.tgz
fcn data check my-images
fcn data draw shapes --seed 0
"""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Sequence
from pathlib import Path

from nets.arguments import seed, whole
from voc_layers.folder import Split, VocFolder

from ..data import check_split
from ..demo import make_dataset
from ..fetching import FetchError
from ..getting import DATA_SETS, Outcome, Wanted, get
from ..getting.pascal import Pascal
from ..outputs import check_folder
from .options import add_verbosity, carry_out, parser, show_progress, tell

WEIGHTS = "--weights VGG_ILSVRC_16_layers.caffemodel"


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


def get_published(args: argparse.Namespace) -> int:
    """Get a published data set and say what to do with it; 1 where something of it is missing."""
    show_progress(args.verbosity)
    wanted = Wanted(args.name, args.out, args.archive, args.mirror or (), args.offline, args.keep_archive)
    try:
        outcome = get(wanted)
    except KeyboardInterrupt:
        tell("interrupted; the same command goes on from here")
        return 130
    except (FetchError, FileNotFoundError) as error:
        raise FileNotFoundError(
            f"{error}\nif you have it, or find it elsewhere: --archive FILE, or --mirror URL"
        ) from error
    following = None if outcome.problems else _following(wanted)
    if args.json:
        print(json.dumps({"data set": args.name, **vars(outcome), "next": following}, default=str, indent=2))
    else:
        print(_told(outcome, following))
    return int(bool(outcome.problems))


def _told(outcome: Outcome, following: str | None) -> str:
    """What is in the folder, for people."""
    counts = ", ".join(f"{split} {count}" for split, count in outcome.images.items())
    lines = [f"{outcome.folder}{': ' if counts else ''}{counts}", *(f"  {note}" for note in outcome.notes)]
    lines += [f"  problem: {problem}" for problem in outcome.problems]
    return "\n".join([*lines, *([f"next: {following}"] if following else [])])


def _following(wanted: Wanted) -> str | None:
    """The command that comes next."""
    out, folder = shlex.quote(str(wanted.out)), shlex.quote(str(wanted.folder))
    if wanted.key == "camvid":
        return f"fcn train --data {folder} {WEIGHTS}"
    if wanted.key == "pascal-context":
        there = (wanted.out / DATA_SETS["voc2010"].place).is_dir()
        return None if there else f"fcn data get voc2010 -o {out}    # its images"
    pascal = Pascal(wanted.out)
    if wanted.folder not in pascal.folders:
        return None
    if pascal.to_train:
        voc, sbd = (shlex.quote(str(path)) for path in pascal.to_train)
        return f"fcn train voc-fcn32s --voc-dir {voc} --sbd-dir {sbd} {WEIGHTS}"
    return f"fcn data get {'voc2011' if pascal.sbd else 'sbd'} -o {out}"


def _add_get(command: argparse.ArgumentParser) -> None:
    command.set_defaults(run=get_published)
    command.add_argument("name", choices=DATA_SETS, metavar="NAME", help=f"one of {', '.join(DATA_SETS)}")
    command.add_argument(
        "-o", "--out", type=Path, required=True, metavar="DIR", help="it gets a folder of its own in there"
    )
    command.add_argument("--archive", type=Path, metavar="FILE", help="use this archive, and leave it")
    command.add_argument("--mirror", action="append", metavar="URL",
        help="ask there first, for the file or (URL ends in /) in the folder; may be repeated")  # fmt: skip
    command.add_argument("--offline", action="store_true", help="download nothing")
    command.add_argument("--keep-archive", action="store_true", help="leave what was downloaded")
    command.add_argument("--json", action="store_true", help="print the outcome for programs")
    add_verbosity(command)


def parse(argv: Sequence[str] | None, prog: str) -> argparse.Namespace:
    top = parser(prog, __doc__)
    commands = top.add_subparsers(required=True)
    _add_get(commands.add_parser("get", help="download, unpack and check a published data set"))
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
