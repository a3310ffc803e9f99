"""The command `fcn`: one name for each thing to do. `fcn COMMAND --help` says what each takes."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Sequence

#: command -> what it does; each is a module of `fcn.commands` with `main(argv, prog)`.
COMMANDS = {
    "train": "train FCNs: one, or the chain 32s, 16s, 8s; go on with a run",
    "score": "score a run, weights or saved predictions against labels",
    "infer": "segment images with a trained net",
    "demo": "the paper on a laptop, on drawn images, in four minutes",
    "nets": "write the prototxts of some or all models",
    "weights": "random weights to start from; export and import of weights",
    "data": "check a folder of images and labels, or draw one",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out a command; returns its exit status."""
    width = max(map(len, COMMANDS))
    listed = "\n".join(f"  {name:{width}}  {what}" for name, what in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="fcn",
        usage="fcn COMMAND ...",
        description=f"Fully convolutional networks for semantic segmentation.\n\ncommands:\n{listed}",
        epilog="fcn COMMAND --help says what a command takes",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help=argparse.SUPPRESS)
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    command = importlib.import_module(f".commands.{args.command}", __package__)
    status: int = command.main(args.arguments, f"fcn {args.command}")
    return status


if __name__ == "__main__":
    raise SystemExit(main())
