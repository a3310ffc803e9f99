"""Make, export and import files of weights.

    python -m fcn.weights random vgg16 -o vgg16.caffemodel
    python -m fcn.weights export runs/voc-fcn8s -o fcn8s.npz
    python -m fcn.weights export fcn8s-heavy-pascal.caffemodel --model voc-fcn8s -o fcn8s.pth
    python -m fcn.weights import fcn8s_from_caffe.npz --model voc-fcn8s -o fcn8s.caffemodel

Random base weights stand in where the real ones are missing: a net that starts from them trains and saves
like any other, for trying things out; it does not reach the published scores.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import nets
from fcn import exchange
from fcn.predict import Source, open_net


def save_random(
    model: str,
    path: str | Path,
    *,
    seed: int = 1337,
    arch: Any = None,
    classes: int | None = None,
    gain: float = 1.0,
) -> None:
    """Write a caffemodel of the classifier ``model`` ('vgg16', 'caffenet'): He-filled weights, zero biases.

    ``arch`` and ``classes`` as in ``nets.build``; ``gain`` multiplies all weights. Raises
    ValueError for a model without fillers of its own.
    """
    import caffe

    row = nets.get(model)
    if row.stride is not None:
        raise ValueError(
            f"'{model}' starts from '{row.parent}': make random weights for the classifier, one "
            f"of {', '.join(name for name, m in nets.MODELS.items() if m.stride is None)}"
        )
    caffe.set_random_seed(seed)
    net = open_net(None, model, arch=arch or row.arch, classes=classes or row.classes)
    for blobs in net.params.values():
        blobs[0].data[...] *= gain
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    net.save(str(path))


def random(args: argparse.Namespace) -> str:
    """Carry out ``random``; returns what to print."""
    arch = nets.get(args.model).arch.scaled(args.width)
    save_random(args.model, args.out, seed=args.seed, classes=args.classes, arch=arch)
    return f"{args.out}: {args.model}, width {args.width:g}, random (seed {args.seed})"


def convert(args: argparse.Namespace) -> str:
    """Carry out ``export`` and ``import``; returns what to print.

    Raises ValueError where the weights do not fit the net, or what was written is not what was read.
    """
    exchange.check_suffix(args.out)
    source = Source.find(args.weights, args.net, args.model)
    weights = exchange.read(source.weights)
    if source.net is None:
        nets.get(str(source.model))  # an unknown id is said before the net is built
    net = open_net(source.net, source.model)
    report = exchange.fill(net, weights, source.weights, in_order=args.in_order)
    difference = exchange.write(net, args.out)
    if difference != 0:
        raise ValueError(f"{args.out}: read again, it differs from the net by up to {difference:g}")
    return f"{report}\n{args.out}: {len(net.params)} layers; read again, the largest difference is 0"


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m fcn.weights",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("random", help="fill a classifier at random")
    command.set_defaults(run=random)
    command.add_argument("model", help="vgg16 or caffenet")
    command.add_argument("-o", "--out", type=Path, required=True, metavar="FILE")
    command.add_argument("--seed", type=int, default=1337)
    command.add_argument("--classes", type=int, help="outputs of fc8 (default 1000)")
    command.add_argument("--width", type=float, default=1.0, help="multiply all widths of the trunk")
    for name, to, what in (
        ("export", ".npz or .pth", "write weights for NumPy or PyTorch"),
        ("import", ".caffemodel or .caffemodel.h5", "make a caffemodel of .npz, .pth or another caffemodel"),
    ):
        command = commands.add_parser(name, help=what)
        command.set_defaults(run=convert)
        command.add_argument("weights", type=Path, help="the file of weights, or the folder of a run")
        net = command.add_mutually_exclusive_group()
        net.add_argument("--net", type=Path, help="deploy prototxt (default: that of the weights' run)")
        net.add_argument("--model", help=f"model id: {', '.join(nets.MODELS)}")
        command.add_argument("-o", "--out", type=Path, required=True, metavar="FILE", help=to)
        order = "pair layers by order, not name (values have to be Caffe's: BGR, 0 to 255)"
        command.add_argument("--in-order", action="store_true", help=order)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    try:
        print(args.run(args))
    except (ValueError, RuntimeError, OSError) as error:
        print(f"python -m fcn.weights: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
