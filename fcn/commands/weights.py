"""Get, make, convert, import and export files of weights.

    fcn weights get vgg16
    fcn weights random vgg16 -o vgg16.caffemodel
    fcn weights import vgg16-397923af.pth --model vgg16 -o vgg16.caffemodel
    fcn weights import fcn8s_from_caffe.npz --model voc-fcn8s -o fcn8s.caffemodel
    fcn weights convert old.caffemodel -o new.safetensors
    fcn weights export runs/voc-fcn8s -o fcn8s.onnx

`get` downloads published weights and holds their layers against the net; without a name it lists what there
is. `import` and `export` put weights into their net first, and say what each layer received; `convert` takes
the layers as they are in the file. `export` also writes whole nets, as ONNX (.onnx), torch.export (.pt2),
ncnn (.param) and MNN (.mnn), and runs each beside caffe before it keeps it. docs/weights.md says what there
still is of the published weights, and where.

Random base weights stand in where the real ones are missing: a net that starts from them trains and saves
like any other, for trying things out; it does not reach the published scores.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import nets
from nets.arguments import real, seed, whole, width

from ..export.formats import FORMATS, export
from ..lock import locked
from ..outputs import check_folder, refuse_inputs
from ..trained import Trained
from ..weights import VALUES, Reading, convert, fill_from, published, save_random
from ..weights.exchange import check_suffix
from ..weights.published import PUBLISHED
from .options import add_net, add_verbosity, carry_out, parser, show_progress


def random(args: argparse.Namespace) -> str:
    """Carry out `random`; returns what to print."""
    out = check_suffix(args.out)
    arch = nets.get(args.model).arch.scaled(args.width)
    save_random(args.model, out, seed=args.seed, classes=args.classes, arch=arch)
    return f"{args.out}: {args.model}, width {args.width:g}, random (seed {args.seed})"


def get(args: argparse.Namespace) -> str:
    """Carry out `get`; returns what to print."""
    if args.name is None:
        width = max(map(len, PUBLISHED))
        return "\n".join(f"{name:{width}}  {row.source.file}" for name, row in PUBLISHED.items())
    show_progress(args.verbosity)
    check_folder(args.out)
    args.out.mkdir(parents=True, exist_ok=True)
    with locked(args.out):
        path = published.get(args.name, args.out, args.mirror, args.offline)
    then = PUBLISHED[args.name].then
    return f"{path}" + (f"\nnow, for Caffe: {then}" if then else "")


def whole_net(args: argparse.Namespace) -> str:
    """Carry out `export`; returns what to print."""
    if args.out.suffix not in FORMATS:
        return exchange(args)
    trained = Trained.find(args.weights, args.net, args.model)
    refuse_inputs([args.out], [trained.weights])
    net = trained.empty()
    filled, _ = fill_from(net, trained.weights, _reading(args))
    return f"{filled}\n{export(net, args.out, args.tolerance)}"


def exchange(args: argparse.Namespace) -> str:
    """Carry out `import`, and `export` of the weights alone; returns what to print."""
    out = check_suffix(args.out)
    trained = Trained.find(args.weights, args.net, args.model)
    return convert(trained.empty(), trained.weights, out, _reading(args))


def as_they_are(args: argparse.Namespace) -> str:
    """Carry out `convert`; returns what to print."""
    return convert(None, args.weights, check_suffix(args.out), _reading(args))


def _reading(args: argparse.Namespace) -> Reading:
    return Reading(
        args.values, args.keep_mean, getattr(args, "in_order", False), getattr(args, "partial", False)
    )


def arguments(prog: str) -> argparse.ArgumentParser:
    top = parser(prog, __doc__)
    commands = top.add_subparsers(required=True)
    _add_get(commands.add_parser("get", help="download published weights, and check them"))
    _add_random(commands.add_parser("random", help="fill a classifier at random"))
    command = commands.add_parser("import", help="make a caffemodel of .npz, .pth, .safetensors or .onnx")
    _add_exchange(command, ".caffemodel or .caffemodel.h5")
    command = commands.add_parser("export", help="write a net with its weights, or the weights alone")
    _add_exchange(command, "a net: .onnx, .pt2, .param (ncnn), .mnn; weights: .npz, .pth, .safetensors")
    command.set_defaults(run=whole_net)
    allowed = (
        "of a net: the largest difference to caffe, in units of its largest output (default %(default)g)"
    )
    command.add_argument("--tolerance", type=real(0), default=1e-4, metavar="X", help=allowed)
    command = commands.add_parser("convert", help="from one format to another, without a net")
    command.set_defaults(run=as_they_are)
    command.add_argument("weights", type=Path, help="the file of weights")
    _add_out(command, "what its name ends in says the format")
    _add_values(command)
    return top


def _add_get(command: argparse.ArgumentParser) -> None:
    command.set_defaults(run=get)
    command.add_argument("name", nargs="?", help=f"one of {', '.join(PUBLISHED)}; without it: list the files")
    command.add_argument(
        "-o", "--out", type=Path, default=Path(), metavar="DIR", help="where (default: here)"
    )
    mirror = "ask there first: the file's address, or its folder's with a / at the end; may be repeated"
    command.add_argument("--mirror", action="append", default=[], metavar="URL", help=mirror)
    command.add_argument("--offline", action="store_true", help="download nothing: check what is there")
    add_verbosity(command)


def _add_random(command: argparse.ArgumentParser) -> None:
    command.set_defaults(run=random)
    command.add_argument("model", help="vgg16, caffenet or googlenet")
    _add_out(command, "what its name ends in says the format")
    command.add_argument("--seed", type=seed, default=1337)
    command.add_argument("--classes", type=whole(1), help="outputs of fc8 (default 1000)")
    command.add_argument("--width", type=width, default=1.0, help="multiply all widths of the trunk")


def _add_exchange(command: argparse.ArgumentParser, to: str) -> None:
    command.set_defaults(run=exchange)
    command.add_argument("weights", type=Path, help="the file of weights, or the folder of a run")
    add_net(command)
    _add_out(command, to)
    order = "pair layers by order, not name (values have to be Caffe's: BGR, 0 to 255)"
    command.add_argument("--in-order", action="store_true", help=order)
    partial = "layers that the file lacks stay as the net's fillers make them"
    command.add_argument("--partial", action="store_true", help=partial)
    _add_values(command)


def _add_out(command: argparse.ArgumentParser, what: str) -> None:
    command.add_argument("-o", "--out", type=Path, required=True, metavar="FILE", help=what)


def _add_values(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("VGG16 by torchvision's names (features.0 ... classifier.6)")
    group.add_argument("--values", choices=VALUES, help="whose values, where the file does not tell")
    mean = "fold for images less the file's own mean: exact in the padding, too, but needs that mean"
    group.add_argument("--keep-mean", action="store_true", help=mean)


def main(argv: Sequence[str] | None = None, prog: str = "fcn weights") -> int:
    """Make the file that the arguments ask for; returns the exit status."""
    args = arguments(prog).parse_args(argv)

    def work() -> int:
        print(args.run(args))
        return 0

    return carry_out(prog, work)
