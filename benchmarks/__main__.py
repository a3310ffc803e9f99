"""Time the engine beside the fastest others on the same weights and images: `make bench`.

    python -m benchmarks                       all nets, all contestants, training steps of FCN-8s
    python -m benchmarks --quick               SqueezeNet and a small FCN-8s, one round
    python -m benchmarks --models fcn8s --sizes 1500x2000 --peers onnxruntime,mnn

Each contestant is a process of its own; they take turns, and their outputs are held against a float64 run.
Tables, plots and numbers go to benchmarks/results. Status 1: the engine itself failed or computed something
else.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from nets.arguments import whole

from . import machine, report
from .arguments import names_of, size_type
from .case import INFERENCE, TRAINING, Case
from .contest import ROOT, Contest, Failure, Interpreters, ask
from .models import MODELS, Size
from .peers import CONTESTANTS
from .results import FOLDER, Outcome, Results
from .roofline import Layer

QUICK = {"squeezenet": ((227, 227),), "fcn8s": ((224, 224),)}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    found.add_argument("--models", type=names_of(MODELS), metavar="ID,ID", help=", ".join(MODELS))
    found.add_argument(
        "--peers", type=names_of(CONTESTANTS), metavar="NAME,NAME",
        help="who runs beside the engine: " + ", ".join(name for name in CONTESTANTS if name != "engine"),
    )  # fmt: skip
    found.add_argument(
        "--sizes", type=size_type, nargs="+", metavar="HxW",
        help="height and width of the images, for the nets that take any; default: each net's own",
    )  # fmt: skip
    found.add_argument("--rounds", type=whole(1), default=5, help="turns of each contestant (default 5)")
    found.add_argument("--threads", type=whole(1), default=machine.cores(), help="default: all cores")
    found.add_argument("--no-training", action="store_true", help="leave the training steps out")
    found.add_argument("--gpu", action="store_true", help="compute on the GPU: the engine and PyTorch")
    found.add_argument("--quick", action="store_true", help="two nets, one round, no training")
    found.add_argument(
        "--out", type=Path, metavar="FOLDER",
        help="of the results; default: benchmarks/results, or build/bench if anything was chosen above",
    )  # fmt: skip
    found.add_argument(
        "--work", type=Path, default=ROOT / "build", metavar="FOLDER",
        help="where weights and converted nets lie meanwhile, in a folder of their own (10 GB)",
    )  # fmt: skip
    found.add_argument(
        "--peers-python", type=Path, default=ROOT / "build/peers/bin/python", metavar="FILE",
        help="the interpreter that has the other libraries",
    )  # fmt: skip
    return found


def settle(args: argparse.Namespace) -> None:
    """Fill in what was not said.

    Raises:
        ValueError: sizes are given, and none of the nets takes them.
    """
    chosen = bool(args.models or args.peers or args.sizes or args.no_training or args.gpu or args.quick)
    args.models = args.models or list(QUICK if args.quick else MODELS)
    if args.sizes and not any(MODELS[name].any_size for name in args.models):
        able = ", ".join(name for name, model in MODELS.items() if model.any_size)
        raise ValueError(f"--sizes is for nets that take images of any size: name one of {able} in --models")
    args.peers = ["engine", *[name for name in args.peers or CONTESTANTS if name != "engine"]]
    args.out = args.out or (ROOT / "build/bench" if chosen else FOLDER)
    if args.quick:
        args.rounds, args.no_training = 1, True


def cases(args: argparse.Namespace) -> Iterator[tuple[str, Size]]:
    """Model and image size of what is to be run, in order."""
    for name in args.models:
        model = MODELS[name]
        sizes = model.sizes
        if args.sizes and model.any_size:
            sizes = tuple(args.sizes)
        elif args.quick:
            sizes = QUICK.get(name, sizes[:1])
        yield from ((name, size) for size in sizes)


def run(args: argparse.Namespace, results: Results, work: Path) -> None:
    """Run every case, print its rows and add its outcome to `results`."""
    caffe_root = os.environ.get("CAFFE_ROOT")
    interpreters = Interpreters(
        args.peers_python.absolute(),
        os.environ.get("CAFFE_PYTHON", "python3"),
        Path(caffe_root).absolute() if caffe_root else None,
    )
    begun: set[str] = set()
    for name, size in cases(args):
        first = name not in begun
        begun.add(name)
        training = first and MODELS[name].train is not None and not args.no_training
        case = make(args, name, size, training, work)
        for task in (INFERENCE, TRAINING) if training else (INFERENCE,):
            rows = Contest(case, task, interpreters).run(args.peers, args.rounds)
            outcome = Outcome(name, MODELS[name].label, size, task, case.macs, rows)
            results.outcomes.append(outcome)
            print(f"\n{outcome.title}\n\n{report.rows(outcome, results.limits.gflops)}", flush=True)
        if first and not args.gpu:
            text = ask("benchmarks.roofline", str(case.folder), threads=args.threads)
            results.layers[case.name] = [Layer(**row) for row in json.loads(text)]
        shutil.rmtree(case.folder)


def make(args: argparse.Namespace, name: str, size: Size, training: bool, work: Path) -> Case:
    """The files of one case."""
    height, width = size
    folder = work / name / f"{height}x{width}"
    flags = [flag for flag, wanted in (("--gpu", args.gpu), ("--training", training)) if wanted]
    arguments = (name, f"{height}x{width}", str(folder), "--threads", str(args.threads), *flags)
    ask("benchmarks.make_case", *arguments, threads=args.threads)
    return Case.open(folder)


def begin(args: argparse.Namespace, argv: Sequence[str]) -> Results:
    """Results without outcomes: what is run, where, and what this machine can do."""
    limits = json.loads(ask("benchmarks.machine", "--threads", str(args.threads), threads=args.threads))
    return Results(
        date=datetime.date.today().isoformat(),
        command=shlex.join(["python", "-m", "benchmarks", *argv]),
        commit=commit(),
        machine=machine.describe(),
        threads=args.threads,
        limits=machine.Limits(**limits),
    )


def commit() -> str:
    """This project's commit, with a `+` if files differ from it."""
    command = ["git", "describe", "--always", "--dirty=+", "--abbrev=10"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "not known"


def main(argv: Sequence[str] | None = None) -> int:
    """Run what the arguments ask for, print the tables, write the files."""
    argv = list(sys.argv[1:] if argv is None else argv)
    args = parser().parse_args(argv)
    try:
        settle(args)
    except ValueError as error:
        parser().error(str(error))
    problems: list[str] = []
    results = begin(args, argv)
    try:
        args.work.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="bench-", dir=args.work.absolute()) as work:
            run(args, results, Path(work))
    except Failure as failure:
        problems.append(f"ended early: {failure}")
    except KeyboardInterrupt:
        problems.append("ended early: interrupted; what was run until then is written")
    for path in report.write(results, args.out):
        print(path)
    failed = [outcome.title for outcome in results.outcomes if outcome.rows[0].reason]
    problems += [f"the engine has no time for {title}" for title in failed]
    for problem in problems:
        print(f"python -m benchmarks: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
