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
from typing import Any

#: command -> what it does; each is a module of `fcn.commands` with `arguments(prog)` and `main(argv, prog)`.
COMMANDS = {
    "train": "train FCNs: one, or the chain 32s, 16s, 8s; go on with a run",
    "score": "score a run, weights or saved predictions against labels",
    "report": "a page of a scored run for people: numbers, classes, curves, images to look into",
    "plot": "curves of several runs in one picture",
    "compare": "compare runs on the same images, with intervals",
    "bound": "the best score that coarse predictions could have, on given labels",
    "submit": "predictions as PASCAL VOC's evaluation server takes them",
    "fcnscore": "score generated street scenes, as pix2pix and CycleGAN do on Cityscapes",
    "verify": "look for the known causes of a low score, or of black output, in a run",
    "infer": "segment images and videos with a trained net",
    "serve": "a local web page: drop an image, see its classes",
    "demo": "the paper on a laptop, on drawn images, in four minutes",
    "align": "where the maps of a net lie over its image, and whether its crops line them up",
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
    completion = "print what lets a shell (bash, zsh, tcsh) complete commands and options"
    parser.add_argument("--print-completion", action=_Print, metavar="SHELL", help=completion)
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
        status: int = _load(command, prog).main(argv, prog)
        return status
    except KeyboardInterrupt:  # the import takes a second
        print(f"{prog}: stopped by Ctrl-C", file=sys.stderr)
        return 128 + signal.SIGINT


def _load(command: str, prog: str) -> Any:
    """The module of a command; ends with a line where that fails for want of a caffe that works."""
    try:
        return importlib.import_module(f".commands.{command}", __package__)
    except Exception as error:
        spec = importlib.util.find_spec("caffe")
        places = [spec.origin, *(spec.submodule_search_locations or ())] if spec else []
        place = next(filter(None, places), None)
        if place and Path(place).with_name("_caffe").is_dir():
            raise  # it is this project's, and so is the mistake
        found = f"is {place}, and it does not work" if place else "is none"
        raise SystemExit(
            f"{prog}: the module caffe that Python finds {found} ({type(error).__name__}: {error}): mend it, "
            "or run from a folder without it, with PYTHONPATH free of it and caffe-fcn installed"
        ) from error


class _Print(argparse.Action):
    """Print the script for a shell, and end."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: Any, shell: Any, option: Any = None
    ) -> None:
        from .commands.completion import SHELLS, script

        if shell not in SHELLS:
            parser.error(f"argument {option}: no shell '{shell}'; there are {', '.join(SHELLS)}")
        try:
            print(script(shell, COMMANDS))
        except RuntimeError as error:
            parser.exit(1, f"fcn: {error}\n")
        parser.exit()


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
