"""The command `fcn`: one name for each thing to do. `fcn COMMAND --help` says what each takes."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

#: command -> what it does; each is a module of `fcn.commands` with `main(argv, prog)`.
COMMANDS = {
    "train": "train FCNs: one, or the chain 32s, 16s, 8s; go on with a run",
    "score": "score a run, weights or saved predictions against labels",
    "verify": "look for the known causes of a low score, or of black output, in a run",
    "infer": "segment images with a trained net",
    "demo": "the paper on a laptop, on drawn images, in four minutes",
    "nets": "write the prototxts of some or all models",
    "weights": "random weights to start from; export and import of weights",
    "data": "get a published data set, import your own images, check a folder of them, or draw one",
}

#: What the commands import under names that a folder of old scripts has too.
SHARED_NAMES = (
    "nets", "solvers", "surgery", "voc_layers", "nyud_layers", "siftflow_layers", "pascalcontext_layers",
)  # fmt: skip


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
    _refuse_strangers()
    return carry_out(args.command, args.arguments, f"fcn {args.command}")


def carry_out(command: str, argv: Sequence[str] | None, prog: str) -> int:
    """Import and carry out one of COMMANDS, which calls itself `prog`; returns its exit status."""
    if "RANK" in os.environ:  # what ends a process of several is told by us, and not by PyTorch's C++ stack
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    try:
        status: int = importlib.import_module(f".commands.{command}", __package__).main(argv, prog)
        return status
    except KeyboardInterrupt:  # the import takes a second
        print(f"{prog}: stopped by Ctrl-C", file=sys.stderr)
        return 128 + signal.SIGINT


def _refuse_strangers() -> None:
    """End with a line where Python finds another project's modules in the place of ours.

    The reference release has a voc_layers.py and a surgery.py, and its scripts want its folder on PYTHONPATH.
    """
    home = Path(__file__).resolve().parents[1]
    for name in SHARED_NAMES:
        spec = importlib.util.find_spec(name)
        found = Path(spec.origin).resolve() if spec and spec.origin else None
        if found is None or home not in found.parents:
            raise SystemExit(
                f"fcn: the module {name} that Python finds is {found}, and fcn needs the one in {home}: "
                "run fcn without that folder on PYTHONPATH, and from another folder"
            )


if __name__ == "__main__":
    raise SystemExit(main())
