"""`fcn data get`: a published data set, from its archives to a checked folder."""

from __future__ import annotations

import argparse
import json
import shlex
from pathlib import Path
from typing import Any

from ..fetching import FetchError
from ..getting import DATA_SETS, Outcome, Wanted, get
from ..getting.pascal import Pascal
from .options import add_verbosity, show_progress, tell

WEIGHTS = "--weights VGG_ILSVRC_16_layers.caffemodel"


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
    if wanted.key == "nyud":
        return f"fcn train nyud-fcn32s-color --nyud-dir {folder} {WEIGHTS}"
    if wanted.key == "siftflow":
        return f"fcn train siftflow-fcn32s --siftflow-dir {folder} {WEIGHTS}"
    if wanted.key == "pascal-context":
        images = wanted.out / DATA_SETS["voc2010"].place
        if not images.is_dir():
            return f"fcn data get voc2010 -o {out}    # its images"
        voc = shlex.quote(str(images))
        return f"fcn train pascalcontext-fcn32s --voc-dir {voc} --context-dir {folder} {WEIGHTS}"
    pascal = Pascal(wanted.out)
    if wanted.folder not in pascal.folders:
        return None
    if pascal.to_train:
        voc, sbd = (shlex.quote(str(path)) for path in pascal.to_train)
        return f"fcn train voc-fcn32s --voc-dir {voc} --sbd-dir {sbd} {WEIGHTS}"
    return f"fcn data get {'voc2011' if pascal.sbd else 'sbd'} -o {out}"


def add_get(commands: Any) -> None:
    """The sub-command `get`."""
    command = commands.add_parser("get", help="download, unpack and check a published data set")
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
