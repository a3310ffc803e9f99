"""Make, export and import files of weights.

    fcn weights random vgg16 -o vgg16.caffemodel
    fcn weights export runs/voc-fcn8s -o fcn8s.npz
    fcn weights export fcn8s-heavy-pascal.caffemodel --model voc-fcn8s -o fcn8s.pth
    fcn weights import fcn8s_from_caffe.npz --model voc-fcn8s -o fcn8s.caffemodel

Random base weights stand in where the real ones are missing: a net that starts from them trains and saves
like any other, for trying things out; it does not reach the published scores.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import nets
from nets.arguments import seed, whole, width

from ..trained import Trained
from ..weights import convert, save_random
from ..weights.exchange import check_suffix
from .options import add_net, carry_out, parser


def random(args: argparse.Namespace) -> str:
    """Carry out `random`; returns what to print."""
    out = check_suffix(args.out)
    arch = nets.get(args.model).arch.scaled(args.width)
    save_random(args.model, out, seed=args.seed, classes=args.classes, arch=arch)
    return f"{args.out}: {args.model}, width {args.width:g}, random (seed {args.seed})"


def exchange(args: argparse.Namespace) -> str:
    """Carry out `export` and `import`; returns what to print."""
    out = check_suffix(args.out)
    trained = Trained.find(args.weights, args.net, args.model)
    return convert(trained.empty(), trained.weights, out, in_order=args.in_order)


def parse(argv: Sequence[str] | None, prog: str) -> argparse.Namespace:
    top = parser(prog, __doc__)
    commands = top.add_subparsers(required=True)
    command = commands.add_parser("random", help="fill a classifier at random")
    command.set_defaults(run=random)
    command.add_argument("model", help="vgg16, caffenet or googlenet")
    command.add_argument("-o", "--out", type=Path, required=True, metavar="FILE")
    command.add_argument("--seed", type=seed, default=1337)
    command.add_argument("--classes", type=whole(1), help="outputs of fc8 (default 1000)")
    command.add_argument("--width", type=width, default=1.0, help="multiply all widths of the trunk")
    for name, to, what in (
        ("export", ".npz or .pth", "write weights for NumPy or PyTorch"),
        ("import", ".caffemodel or .caffemodel.h5", "make a caffemodel of .npz, .pth or another caffemodel"),
    ):
        command = commands.add_parser(name, help=what)
        command.set_defaults(run=exchange)
        command.add_argument("weights", type=Path, help="the file of weights, or the folder of a run")
        add_net(command)
        command.add_argument("-o", "--out", type=Path, required=True, metavar="FILE", help=to)
        order = "pair layers by order, not name (values have to be Caffe's: BGR, 0 to 255)"
        command.add_argument("--in-order", action="store_true", help=order)
    return top.parse_args(argv)


def main(argv: Sequence[str] | None = None, prog: str = "fcn weights") -> int:
    """Make the file that the arguments ask for; returns the exit status."""
    args = parse(argv, prog)

    def work() -> int:
        print(args.run(args))
        return 0

    return carry_out(prog, work)
