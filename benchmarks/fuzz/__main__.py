"""Give inputs of any bytes to what reads files, and show what was neither a result nor an error of ours.

    python -m benchmarks.fuzz [--format NAME]... [--inputs 100000] [--seed 0] [--save FOLDER]
    python -m benchmarks.fuzz --format NAME --show INDEX > input

Ends with status 1 where something was found. Formats: see `benchmarks.fuzz.formats`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

import torch

import caffe

from .formats import FORMATS, Format
from .trial import Escape, escapes, made


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.fuzz",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = [form.name for form in FORMATS]
    parser.add_argument(
        "--format", action="append", choices=names, metavar="NAME", help="of: " + ", ".join(names)
    )
    parser.add_argument("--inputs", type=int, default=100_000, metavar="N", help="for each format")
    parser.add_argument("--start", type=int, default=0, metavar="N", help="the number of the first")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument("--save", type=Path, metavar="FOLDER", help="where inputs that escape are kept")
    parser.add_argument("--show", type=int, metavar="INDEX", help="write one input to standard output")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)  # a forked process shall not wait for threads that it does not have
    caffe.init_log(2)
    found = 0
    for form in FORMATS:
        if args.format is None or form.name in args.format:
            found += _format(form, args)
    return int(found > 0)


def _format(form: Format, args: argparse.Namespace) -> int:
    """Try one format; how many escapes there were."""
    with tempfile.TemporaryDirectory(dir=_memory()) as folder:
        for name in ("corpus", "trial"):
            Path(folder, name).mkdir()
        corpus = form.corpus(Path(folder, "corpus"))
        if args.show is not None:
            sys.stdout.buffer.write(made(form, corpus, args.seed, args.show))
            return 0
        numbers = range(args.start, args.start + args.inputs)
        kinds: Counter[str] = Counter()
        for escape in escapes(form, corpus, args.seed, numbers, Path(folder, "trial")):
            kinds[_kind(escape)] += 1
            if kinds[_kind(escape)] == 1:
                print(f"{form.name} {escape.number}: {escape.what}\n{escape.trace}", flush=True)
                if args.save:
                    args.save.mkdir(parents=True, exist_ok=True)
                    data = made(form, corpus, args.seed, escape.number)
                    (args.save / f"{form.name.replace(' ', '-')}-{escape.number}").write_bytes(data)
    print(
        f"{form.name}: {args.inputs} inputs, {sum(kinds.values())} escapes of {len(kinds)} kinds", flush=True
    )
    return sum(kinds.values())


def _kind(escape: Escape) -> str:
    """What two escapes have in common that one mistake made: the exception, and the last lines of code."""
    places = [line.strip() for line in escape.trace.splitlines() if line.startswith("  File")]
    return f"{escape.what.partition(':')[2].partition(':')[0] or escape.what} {places[-1:]}"


def _memory() -> str | None:
    """A folder in memory, where the system has one: inputs are written by the hundred thousand."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


if __name__ == "__main__":
    sys.exit(main())
