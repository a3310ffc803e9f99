"""What the commands share: options that mean the same everywhere, and how a mistake is told."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable
from pathlib import Path

from ..engine import use_device
from ..train import Interrupted


def parser(prog: str, description: str | None, name: str) -> argparse.ArgumentParser:
    """The parser of one command. name: what its examples call it in `description`, to be put as `prog`."""
    text = (description or "").replace(name, prog)
    return argparse.ArgumentParser(
        prog=prog, description=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def add_device(to: argparse.ArgumentParser) -> None:
    """--gpu N or --cpu, as `args.gpu`: a number or None."""
    device = to.add_mutually_exclusive_group()
    device.add_argument("--gpu", type=int, metavar="N", help="run on GPU N")
    device.add_argument(
        "--cpu", dest="gpu", action="store_const", const=None, help="run on the CPU (default)"
    )


def add_net(to: argparse.ArgumentParser) -> None:
    """--net or --model: which net weights are for that lie in no run."""
    net = to.add_mutually_exclusive_group()
    net.add_argument("--net", type=Path, metavar="FILE", help="deploy prototxt (default: that of the run)")
    net.add_argument("--model", metavar="ID", help="model id, such as voc-fcn8s (default: that of the run)")


def carry_out(prog: str, work: Callable[[], int], gpu: int | None = None) -> int:
    """Do a command's work on a device; returns its exit status, and tells a mistake in one message."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        use_device(gpu)
        return work()
    except Interrupted as stop:
        print(stop, file=sys.stderr)
        return 128 + stop.signum
    except (ValueError, RuntimeError, OSError) as error:
        print(f"{prog}: {error}", file=sys.stderr)
        return 1
