"""Train FCNs: python solve.py [MODEL ...]. No model named: the chain FCN-32s, then 16s, then 8s.

Each stage starts from the newest snapshot of the one before it, the first from a classifier's caffemodel
(--weights). Everything a stage writes goes to RUNS/<model>/.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Mapping
from typing import Any

import score
import solvers
from fcn.chain import CHAIN, recipes, train_chain
from fcn.inputs import Inputs, MissingInputs
from fcn.metrics import METRICS, Scores
from fcn.predict import use_device
from fcn.training import Interrupted


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="solve.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add(
        "models",
        nargs="*",
        metavar="MODEL",
        help=f"of {', '.join(solvers.RECIPES)}; default: {' '.join(CHAIN)}",
    )
    device = parser.add_mutually_exclusive_group()
    device.add_argument("--gpu", type=int, metavar="N", help="train on GPU N")
    device.add_argument("--cpu", action="store_true", help="train on the CPU (the default)")
    add("--recipe", choices=solvers.KINDS, help="default: the one the model was published with")
    add("--weights", metavar="FILE", help="what the first model starts from (caffemodel, or a run's folder)")
    add("--iters", type=int, metavar="N", help="train each model up to N steps (default: its recipe's)")
    add("--resume", metavar="auto|FILE", help="go on from the run's newest .solverstate, or from FILE")
    add("--runs", default="runs", metavar="DIR", help="default: runs")
    add("--voc-dir", default="data/pascal/VOC2011", metavar="DIR", help="PASCAL VOC; default: %(default)s")
    add("--sbd-dir", default="data/sbdd/dataset", metavar="DIR", help="SBD; default: %(default)s")
    add("--data", metavar="DIR", help="own images in VOC layout with a classes.txt, instead of VOC and SBD")
    add("--val-split", metavar="NAME", help="default: seg11valid, or val with --data")
    add("--classes", type=int, metavar="N", help="default: lines of classes.txt, or the model's")
    add("--width", type=float, default=1.0, metavar="X", help="multiply all widths of the trunk")
    add("--base-lr", type=float, metavar="R", help="of the first model; the others keep their recipes' ratio")
    add("--snapshot", type=int, metavar="N", help="a snapshot every N steps (default: the recipe's)")
    add("--test-every", type=int, metavar="N", help="score every N steps and at the end; 0: never")
    add("--seed", type=int, default=1337, help="of the training order and dropout; default: %(default)s")
    return parser.parse_args(argv)


def evaluate(solver: Any, ids: list[str]) -> Mapping[str, float]:
    """Score the solver's net on the images ``ids``; the four means by name."""
    hist = score.seg_tests(solver, None, ids)
    return dict(zip(METRICS, Scores(hist).four()))


def run(args: argparse.Namespace) -> None:
    models = args.models or list(CHAIN)
    if args.data is not None:
        data = Inputs.own(args.data, args.val_split or "val")
    else:
        data = Inputs.pascal(args.voc_dir, args.sbd_dir, args.val_split or "seg11valid")
    rows = recipes(
        models,
        args.recipe,
        args.base_lr,
        max_iter=args.iters,
        snapshot=args.snapshot,
        test_every=args.test_every,
    )
    train_chain(
        models,
        data,
        rows,
        root=args.runs,
        weights=args.weights,
        resume=args.resume,
        classes=args.classes,
        width=args.width,
        seed=args.seed,
        evaluate=None if args.test_every == 0 else evaluate,
    )


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        use_device(args.gpu)
        run(args)
    except Interrupted as stop:
        print(stop, file=sys.stderr)
        return 128 + stop.signum
    except (MissingInputs, ValueError, RuntimeError) as error:
        print(f"solve.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
