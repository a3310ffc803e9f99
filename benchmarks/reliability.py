"""Kill a small training over and over, resume it, and compare it with one that nothing stopped.

    python -m benchmarks.reliability [--kills 20] [--seed 0] [--ranks 2]

Every second SIGKILL comes while a snapshot is being written, the others at random moments. The last snapshots
of both runs have to hold the same weights and history, bit for bit. Ends with status 1 where they do not.
With --ranks so many processes train together: each time one of them is killed at a random moment and torchrun
starts all of them anew.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from caffe.proto.caffe_pb2 import SolverState
from fcn.runs import STATES, Run
from fcn.weights import save_random
from fcn.weights.caffemodel import arrays
from nets import VGG16

ROOT = Path(__file__).resolve().parents[1]
WIDTH, INTERVAL = 0.05, 2


def draw(root: Path) -> Path:
    """A folder of five small images of noise in VOC layout."""
    rng = np.random.default_rng(0)
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (root / folder).mkdir(parents=True)
    for i in range(5):
        Image.fromarray(rng.integers(0, 255, (30, 40, 3), np.uint8)).save(root / f"JPEGImages/{i}.png")
        Image.fromarray(rng.integers(0, 3, (30, 40), np.uint8)).save(root / f"SegmentationClass/{i}.png")
    (root / "ImageSets/Segmentation/train.txt").write_text("0\n1\n2\n")
    (root / "ImageSets/Segmentation/val.txt").write_text("3\n4\n")
    (root / "classes.txt").write_text("sky\nroad\ncar\n")
    return root


def train(
    work: Path, runs: str, steps: int, resume: bool, launcher: Sequence[str] = ()
) -> subprocess.Popen[bytes]:
    """A training of so many steps under way."""
    options = ["--data", "data", "--weights", "vgg16.caffemodel", "--width", str(WIDTH), "--runs", runs]
    options += ["--iters", str(steps), "--snapshot", str(INTERVAL), "--test-every", "0", "--base-lr", "1e-6"]
    command = [sys.executable, *launcher, str(ROOT / "solve.py"), "voc-fcn32s", *options]
    return subprocess.Popen([*command, *(["--resume", "auto"] if resume else [])], cwd=work)


def kill(process: subprocess.Popen[bytes], run: Run, in_snapshot: bool, delay: float) -> bool:
    """Kill a training once it trains; whether a snapshot was being written at that moment."""
    while process.poll() is None and not run.log.exists():
        time.sleep(0.01)
    if not in_snapshot:
        time.sleep(delay)
    while in_snapshot and process.poll() is None and not list(run.prefix.parent.glob(".*.tmp")):
        pass
    process.kill()
    process.wait()
    return bool(list(run.prefix.parent.glob(".*.tmp")))


def ranks_of(launcher: int) -> list[int]:
    """The processes that torchrun has started."""
    try:
        children = Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()
        return [int(child) for child in children if b"\0RANK=" in Path(f"/proc/{child}/environ").read_bytes()]
    except OSError:  # one of them has just ended
        return []


def kill_ranks(
    process: subprocess.Popen[bytes], run: Run, ranks: int, kills: int, drawn: random.Random
) -> int:
    """Kill one of the processes again and again; how often before the end.

    Every fourth time while they start, else in a step: at a random moment after their first snapshot.
    """
    killed, before = 0, set[int]()
    while killed < kills and process.poll() is None:
        there = ranks_of(process.pid)
        if len(there) < ranks or before & {*there}:
            time.sleep(0.05)
            continue
        newest = max(run.snapshots(), default=0)
        while killed % 4 and process.poll() is None and max(run.snapshots(), default=0) <= newest:
            time.sleep(0.05)
        time.sleep(drawn.uniform(0, 2))
        victim = drawn.choice(there)
        if victim in ranks_of(process.pid):
            os.kill(victim, signal.SIGKILL)
            killed, before = killed + 1, {*there}
    return killed


def together(work: Path, ranks: int, kills: int, drawn: random.Random) -> int:
    """The exit status of this program for several processes."""
    steps = 12 * kills
    run, whole = (Run(work / name / "voc-fcn32s") for name in ("killed", "whole"))
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)]
    launcher += ["--max-restarts", str(kills)]
    os.environ["OMP_NUM_THREADS"] = "1"
    train(work, "whole", steps, False, launcher).wait()
    process = train(work, "killed", steps, False, launcher)
    done = kill_ranks(process, run, ranks, kills, drawn)
    same = process.wait() == 0 and alike(run, whole, steps)
    print(f"{done} kills of one of {ranks} processes; {steps} steps; {len(run.launches())} starts")
    print("the runs end alike, bit for bit" if same else "THE RUNS DIFFER")
    return 0 if same and done else 1


def alike(run: Run, other: Run, step: int) -> bool:
    """Whether two runs hold the same weights and history after `step`."""
    first, second = (arrays(found.snapshots()[step]) for found in (run, other))
    states = [SolverState.FromString(found.snapshots(STATES)[step].read_bytes()) for found in (run, other)]
    for state in states:
        state.learned_net = ""  # a path
    same = all(np.array_equal(a, b) for name in first for a, b in zip(first[name], second[name]))
    return same and first.keys() == second.keys() and states[0] == states[1]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=20, metavar="N")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the moments")
    parser.add_argument("--ranks", type=int, default=1, metavar="N", help="processes that train together")
    args = parser.parse_args(argv)
    drawn, steps = random.Random(args.seed), 4 * args.kills
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        draw(work / "data")
        save_random("vgg16", work / "vgg16.caffemodel", arch=VGG16.scaled(WIDTH), classes=4)
        if args.ranks > 1:
            return together(work, args.ranks, args.kills, drawn)
        run, whole = (Run(work / name / "voc-fcn32s") for name in ("killed", "whole"))
        train(work, "whole", steps, False).wait()
        inside = 0
        for number in range(args.kills):
            process = train(work, "killed", steps, number > 0)
            inside += kill(process, run, number % 2 == 1, drawn.uniform(1, 4))
        status = train(work, "killed", steps, True).wait()
        same = status == 0 and alike(run, whole, steps)
        left = len(list(run.path.rglob("*.tmp")))
        print(
            f"{args.kills} kills, {inside} while a file was written; {steps} steps; "
            f"temporary files left: {left}"
        )
        print("the runs end alike, bit for bit" if same else "THE RUNS DIFFER")
    return 0 if same and not left else 1


if __name__ == "__main__":
    sys.exit(main())
