"""Show what a training survives, and that memory stays flat.

    python -m benchmarks.reliability [--short] [--only kills,disk,outputs,soak,planted,ranks] [--seed 0]

kills    SIGKILL 200 times, a third of them while a snapshot is written; resumed each time
disk     full, damaged, read-only, slow at each call of the system that writes a snapshot, and SIGKILL there
outputs  the same at each call with which other commands write their files
soak     2,000 steps of training, 10,000 passes of images of mixed sizes, 1,000 nets made and dropped
planted  a data set of 10,000 pairs with three faults
ranks    one of several processes that train together killed, 20 times; only where it is asked for

--short takes a tenth or less of each, a minute of processor time, as continuous integration does. Ends with
status 1 where something does not hold.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

import torch

import caffe

from . import disk, kills, outputs, planted, ranks, soak

USUAL = ("kills", "disk", "outputs", "soak", "planted")
PARTS = (*USUAL, "ranks")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.reliability",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--short", action="store_true", help="a tenth of each, or less")
    parser.add_argument("--only", default=",".join(USUAL), metavar="PARTS", help="of: " + ", ".join(PARTS))
    parser.add_argument("--kills", type=int, metavar="N", help="how many; default 200, of ranks 20")
    parser.add_argument("--ranks", type=int, default=2, metavar="N", help="processes of `ranks` (default 2)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of moments, sizes and faults")
    args = parser.parse_args(argv)
    chosen, seed = args.only.split(","), args.seed
    if unknown := set(chosen) - set(PARTS):
        parser.error(f"--only: {', '.join(unknown)}: there are {', '.join(PARTS)}")
    torch.set_num_threads(1)  # trainings are forked from here, in which other threads would be missing
    caffe.init_log(2)
    count = args.kills or (12 if args.short else 200)
    works: dict[str, Callable[[], list[str]]] = {
        "kills": lambda: kills.check(count, seed),
        "disk": lambda: disk.check(50 if args.short else 1),
        "outputs": lambda: outputs.check(2 if args.short else 10_000),
        "soak": lambda: soak.check(*((50, 600, 50) if args.short else (2000, 10_000, 1000)), seed),
        "ranks": lambda: ranks.check(args.ranks, args.kills or (4 if args.short else 20), seed),
        "planted": lambda: planted.check(500 if args.short else 10_000, seed),
    }
    problems = [problem for part in PARTS if part in chosen for problem in works[part]()]
    sys.stdout.flush()
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
