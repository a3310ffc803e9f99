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
from collections.abc import Callable, Iterator, Sequence
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
    found.add_argument(
        "--models", type=names_of(MODELS), default=list(MODELS), metavar="ID,ID", help=", ".join(MODELS)
    )
    found.add_argument(
        "--peers", type=names_of(CONTESTANTS), default=list(CONTESTANTS), metavar="NAME,NAME",
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
    found.add_argument("--out", type=Path, default=FOLDER, help="folder of the results")
    found.add_argument(
        "--work",
        type=Path,
        default=ROOT / "build/bench",
        help="weights and converted nets go here; removed after",
    )
    found.add_argument(
        "--peers-python", type=Path, default=ROOT / "build/peers/bin/python", metavar="FILE",
        help="the interpreter that has the other libraries",
    )  # fmt: skip
    return found


def cases(args: argparse.Namespace) -> Iterator[tuple[str, Size]]:
    """Model and image size of what is to be run, in order."""
    for name in args.models:
        model = MODELS[name]
        if args.sizes and model.any_size:
            sizes = tuple(args.sizes)
        elif args.quick:
            sizes = QUICK[name] if name in QUICK else model.sizes[:1]
        else:
            sizes = model.sizes
        yield from ((name, size) for size in sizes)


def run(args: argparse.Namespace, results: Results, say: Callable[[str], None]) -> None:
    """Run every case and add its outcome to `results`."""
    caffe_root = os.environ.get("CAFFE_ROOT")
    interpreters = Interpreters(
        args.peers_python.absolute(),
        os.environ.get("CAFFE_PYTHON", "python3"),
        Path(caffe_root).absolute() if caffe_root else None,
    )
    trained: set[str] = set()
    for name, size in cases(args):
        training = MODELS[name].train is not None and not args.no_training and name not in trained
        trained.add(name)
        case = make(args, name, size, training)
        for task in (INFERENCE, TRAINING) if training else (INFERENCE,):
            rows = Contest(case, task, interpreters).run(args.peers, args.rounds)
            outcome = Outcome(name, MODELS[name].label, size, task, case.macs, rows)
            results.outcomes.append(outcome)
            say(f"\n{outcome.title}\n\n{report.rows(outcome, results.limits.gflops)}\n")
        if not args.gpu and size == MODELS[name].sizes[0]:
            text = ask("benchmarks.roofline", str(case.folder), threads=args.threads)
            results.layers[results.outcomes[-1].label] = [Layer(**row) for row in json.loads(text)]
        shutil.rmtree(case.folder)


def make(args: argparse.Namespace, name: str, size: Size, training: bool) -> Case:
    """The files of one case."""
    height, width = size
    folder = args.work.absolute() / name / f"{height}x{width}"
    flags = [flag for flag, wanted in (("--gpu", args.gpu), ("--training", training)) if wanted]
    arguments = (name, f"{height}x{width}", str(folder), "--threads", str(args.threads), *flags)
    ask("benchmarks.make_case", *arguments, threads=args.threads)
    return Case.open(folder)


def commit() -> str:
    """This project's commit, with a `+` if files differ from it."""
    command = ["git", "describe", "--always", "--dirty=+", "--abbrev=10"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "not known"


def main(argv: Sequence[str] | None = None) -> int:
    """Run what the arguments ask for, print the tables, write the files."""
    argv = list(sys.argv[1:] if argv is None else argv)
    args = parser().parse_args(argv)
    if args.quick:
        args.models = [name for name in args.models if name in QUICK] or args.models
        args.rounds, args.no_training = 1, True
    args.peers = ["engine", *[name for name in args.peers if name != "engine"]]
    try:
        limits = json.loads(ask("benchmarks.machine", threads=args.threads))
        results = Results(
            date=datetime.date.today().isoformat(),
            command=shlex.join(["python", "-m", "benchmarks", *argv]),
            commit=commit(),
            machine=machine.describe(),
            threads=args.threads,
            limits=machine.Limits(**limits),
        )
        run(args, results, lambda text: print(text, flush=True))
    except Failure as failure:
        print(f"python -m benchmarks: {failure}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(args.work, ignore_errors=True)
    for path in report.write(results, args.out):
        print(path)
    wrong = [outcome.title for outcome in results.outcomes if outcome.rows[0].reason]
    for title in wrong:
        print(f"python -m benchmarks: the engine has no time for {title}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
