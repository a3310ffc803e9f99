"""A local web page for a trained net: drop an image, see its classes.

    fcn serve runs/voc-fcn8s
    fcn serve fcn8s-heavy-pascal.caffemodel --model voc-fcn8s --port 8080

The page is at http://127.0.0.1:8000/ until Ctrl-C, for this machine alone. --host shows it to others, who may
then use it without a password. It needs no network and keeps no image; docs/security.md says what is checked.
"""

from __future__ import annotations

import argparse
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from nets.arguments import whole
from voc_layers.reading import ClassList

from ..infer.model import Model
from ..infer.said import class_list
from ..serve import Limits, serve
from ..serve.guard import is_loopback
from ..trained import Trained
from .options import (
    add_class_file,
    add_device,
    add_net,
    add_precision,
    add_verbosity,
    carry_out,
    computing,
    parser,
    show_progress,
    tell,
)

RUN = Path("runs/voc-fcn8s")


def arguments(prog: str) -> argparse.ArgumentParser:
    command = parser(prog, __doc__)
    what = f"the folder of a run, or a weights file (default: {RUN})"
    command.add_argument("weights", nargs="?", type=Path, default=RUN, metavar="RUN", help=what)
    add_net(command)
    add_class_file(command)
    where = command.add_argument_group("where")
    where.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    where.add_argument(
        "--port", type=whole(0, 65535), default=8000, help="0: one that is free (default: %(default)s)"
    )
    name = (
        "a host name that the page is asked for under; by its addresses and this machine's name it always is"
    )
    where.add_argument("--name", action="append", default=[], help=name)
    limits, few = command.add_argument_group("what is refused"), Limits()
    limits.add_argument(
        "--max-bytes", type=whole(1), default=few.bytes, help="files of more bytes (default: %(default)s)"
    )
    pixels = "images of more pixels; the page shrinks them before it sends them (default: %(default)s)"
    limits.add_argument("--max-pixels", type=whole(1), default=few.pixels, help=pixels)
    waiting = (
        "images beyond so many that are computed or wait; they are told to come again (default: %(default)s)"
    )
    limits.add_argument("--waiting", type=whole(1, 200), default=few.waiting, help=waiting)
    add_device(command)
    add_precision(command)
    add_verbosity(command)
    return command


@contextmanager
def _model(args: argparse.Namespace, trained: Trained, listed: ClassList) -> Iterator[Model]:
    with computing(args.gpu, args.precision):
        model = Model.of(trained, listed)
        model.require_photographs()
        yield model


def run(args: argparse.Namespace) -> int:
    """Show the page until Ctrl-C or SIGTERM."""
    trained = Trained.find(args.weights, args.net, args.model)
    listed = class_list(trained, args.classes)
    if not is_loopback(args.host):
        tell(f"--host {args.host}: whoever reaches this machine can use the page, without a password")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does
    limits = Limits(args.max_bytes, args.max_pixels, args.waiting)
    opened = partial(_model, args, trained, listed)
    address = args.host, args.port
    serve(opened, trained.model or trained.weights.name, address, limits, args.name, _announce)
    print("ended")
    return 0


def _announce(address: str) -> None:
    print(f"{address}  (Ctrl-C ends it)", flush=True)


def main(argv: Sequence[str] | None = None, prog: str = "fcn serve") -> int:
    """Show the page of the net that the arguments name; returns the exit status."""
    args = arguments(prog).parse_args(argv)
    show_progress(args.verbosity)
    return carry_out(prog, lambda: run(args))
