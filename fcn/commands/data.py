"""Get a published data set, import one's own, check a folder of images and labels, or draw one.

fcn data get voc2011 -o data
fcn data get sbd -o data --archive ~/Downloads/benchmark.tgz
fcn data import photos-and-masks -o my-data
fcn data check my-data
fcn data draw shapes --seed 0
"""

from __future__ import annotations

import argparse
import json
import logging
import re
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

from nets.arguments import real, seed, whole
from voc_layers.facts import VOC_CLASSES
from voc_layers.folder import VocFolder
from voc_layers.reading import SampleError, read_lines

from ..data import audit
from ..data.importing import FORMS, Options, Report, Unconfirmed, import_data, parse_key, read_table
from ..demo import make_dataset
from ..outputs import check_folder, replace_text
from .getting import add_get
from .options import add_verbosity, carry_out, parser, show_progress, tell


def check(args: argparse.Namespace) -> int:
    """Read every image and label, print what is in them; 1 where something is wrong."""
    folder = VocFolder.open(args.folder)
    folder.require_layout()
    found = audit(folder, args.split or ("train", "val"))
    print(json.dumps(found.as_json(), indent=1) if args.json else found.text())
    return int(bool(found.problems or (args.strict and found.warnings)))


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """SIGTERM ends the program meanwhile, but not before what is half done has been removed."""

    def end(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def bring(args: argparse.Namespace) -> int:
    """Import a folder; print what became of its files."""
    options = Options(
        form=args.form,
        classes=class_names(args.classes),
        table=read_table(args.colors) if args.colors else None,
        values=args.values,
        threshold=args.threshold,
        void=args.void[0] if args.void else None,
        void_is_colour=bool(args.void and args.void[1]),
        val=args.val,
        seed=args.seed,
        group_by=args.group_by,
        exif=args.exif,
        mat_name=args.mat_name,
        skip=args.skip,
        yes=args.yes,
    )
    with ended_by_sigterm():
        try:
            report = import_data(args.source, args.output, options, args.force)
        except Unconfirmed as found:
            if not confirmed(found):
                return ask_for_table(found, args.output)
            report = import_data(args.source, args.output, replace(options, yes=True), args.force)
    show(report, args)
    return 0


def show(report: Report, args: argparse.Namespace) -> None:
    """The account of an import, and what comes next."""
    if args.json:
        print(json.dumps(report.as_json(), indent=1))
        return
    print(report.text())
    print(
        f"{args.output}: {len(report.outputs)} pairs; the account of each file is in {args.output}/import.txt"
    )
    print(f"next: fcn data check {args.output}")


def class_names(text: str | None) -> tuple[str, ...]:
    """What --classes takes: names parted by commas, `voc`, or a file with a name a line."""
    if text is None:
        return ()
    if text == "voc":
        return VOC_CLASSES
    if "," not in text and not Path(text).is_file():
        raise SampleError(f"--classes {text}: expected names parted by commas, 'voc', or a file; found none")
    names = text.split(",") if "," in text else read_lines(text)
    kept = tuple(name.strip() for name in names if name.strip() and not name.strip().startswith("#"))
    if len(set(kept)) != len(kept) or not kept:
        raise SampleError(f"--classes {text}: expected different names, found {', '.join(kept) or 'none'}")
    return kept


def confirmed(found: Unconfirmed) -> bool:
    """Show the table that was found; ask on a terminal whether it is right."""
    print(f"{found.why}:\n{found.text}", file=sys.stderr)
    if not sys.stdin.isatty():
        return False
    print("import with these? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def ask_for_table(found: Unconfirmed, output: Path) -> int:
    """Write the table to a file of its own, say what to do with it; gives the status 1."""
    for number in range(1, 1000):
        file = output.with_name(f"{output.name}.colors{'' if number == 1 else f'-{number}'}.txt")
        if not file.exists() or file.read_text(encoding="utf-8") == found.text:
            break
    check_folder(file.parent)
    file.parent.mkdir(parents=True, exist_ok=True)
    replace_text(file, found.text)
    tell(f"nothing was imported. Name the classes in {file} and add --colors {file}, or take it so: --yes")
    return 1


def draw(args: argparse.Namespace) -> int:
    """Draw the demo's images."""
    check_folder(args.folder)
    print(make_dataset(args.folder, args.seed, args.train, args.val, args.class_images))
    return 0


def key(text: str) -> tuple[int, bool]:
    """A label value or a colour, as --void takes it."""
    try:
        return parse_key(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def grouping(text: str) -> str:
    """`folder`, or a regular expression."""
    try:
        re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"'{text}' is neither 'folder' nor a pattern: {error}") from error
    return text


def add_import(commands: Any) -> None:
    command = commands.add_parser("import", help="make a folder in VOC layout of what one has")
    command.set_defaults(run=bring)
    add = command.add_argument
    add("source", type=Path, metavar="SRC", help="a folder, a list of pairs or COCO's JSON; it is only read")
    add("-o", "--output", type=Path, required=True, metavar="DIR", help="a new folder")
    add("--form", choices=FORMS, help="how SRC is laid out (default: found out)")
    add("--classes", metavar="FILE|a,b,c", help="names by label value; 'voc': PASCAL VOC's")
    add(
        "--colors",
        type=Path,
        metavar="FILE",
        help="which colour, or value, is which class: '#rrggbb name' a line",
    )
    add("--yes", action="store_true", help="take the colours that were found as they are")
    add("--values", choices=("index", "color", "binary"), help="what tells the classes (default: found out)")
    add("--threshold", type=whole(1, 255), metavar="N", help="of masks of two classes: the object from N on")
    add("--void", type=key, metavar="N|#rrggbb", help="the label value or colour that is void")
    add(
        "--val",
        type=real(0, 0.9, above=True),
        default=0.2,
        metavar="F",
        help="share to score on (default: 0.2)",
    )
    add("--seed", type=seed, default=0, help="of that division")
    add("--group-by", type=grouping, metavar="folder|REGEX", help="keep pairs alike in this on one side")
    add("--exif", choices=("apply", "ignore"), help="whether labels follow images turned by EXIF")
    add("--mat-name", metavar="NAME", help="which array of .mat files is the label")
    add("--skip", action="store_true", help="leave out pairs that can't be imported")
    add("--force", action="store_true", help="replace an earlier import in DIR")
    add("--json", action="store_true", help="print the account as JSON")
    add_verbosity(command)


def add_check(commands: Any) -> None:
    command = commands.add_parser("check", help="read and check every image and label")
    command.set_defaults(run=check)
    command.add_argument("folder", type=Path, metavar="DIR", help="in VOC layout")
    command.add_argument("--split", action="append", metavar="NAME", help="default: train and val")
    command.add_argument("--strict", action="store_true", help="status 1 for warnings too")
    command.add_argument("--json", action="store_true", help="print what was found as JSON")
    add_verbosity(command)


def add_draw(commands: Any) -> None:
    command = commands.add_parser("draw", help="draw the demo's images, in VOC layout")
    command.set_defaults(run=draw)
    command.add_argument("folder", type=Path, metavar="DIR")
    command.add_argument("--seed", type=seed, default=0)
    command.add_argument("--train", type=whole(1), default=480, help="images to train on")
    command.add_argument("--val", type=whole(1), default=120, help="images held out")
    command.add_argument("--class-images", type=whole(), default=4000, help="images for a classifier")


def arguments(prog: str) -> argparse.ArgumentParser:
    top = parser(prog, __doc__)
    commands = top.add_subparsers(required=True)
    add_get(commands)
    for add in (add_import, add_check, add_draw):
        add(commands)
    return top


def main(argv: Sequence[str] | None = None, prog: str = "fcn data") -> int:
    """Do with a data set what the arguments say; returns the exit status."""
    args = arguments(prog).parse_args(argv)
    show_progress(getattr(args, "verbosity", logging.INFO))
    return carry_out(prog, lambda: args.run(args))
