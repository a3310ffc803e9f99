"""The `caffe` that is installed: its device, its log, and a net of it from a prototxt or a model id."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import caffe
import nets

from . import glog
from .protocols import NetLike


def use_device(gpu: int | None) -> None:
    """Tell caffe to run on a GPU, or on the CPU if None."""
    if gpu is None:
        caffe.set_mode_cpu()
    else:
        caffe.set_device(gpu)
        caffe.set_mode_gpu()


#: What `multiplying` takes.
PRECISIONS = ("float32", "tf32", "bfloat16")


@contextmanager
def multiplying(precision: str) -> Iterator[None]:
    """Let caffe's convolutions and inner products multiply in `precision` inside, and as before afterwards.

    Raises:
        RuntimeError: this caffe knows float32 alone.
    """
    known = hasattr(caffe, "set_precision")
    if precision != "float32" and not known:
        raise RuntimeError(f"the caffe that is imported ({caffe.__file__}) multiplies in float32 only")
    if not known:
        yield
        return
    before = caffe.precision()
    caffe.set_precision(precision)
    try:
        yield
    finally:
        caffe.set_precision(before)


@contextmanager
def checkpointing(wanted: bool) -> Iterator[None]:
    """Let caffe train in less memory inside, if `wanted`: blobs are dropped, and made again when needed.

    Raises:
        RuntimeError: this caffe keeps all blobs.
    """
    if not wanted:
        yield
        return
    if not hasattr(caffe, "set_checkpointing"):
        raise RuntimeError(f"the caffe that is imported ({caffe.__file__}) keeps all blobs")
    caffe.set_checkpointing(True)
    try:
        yield
    finally:
        caffe.set_checkpointing(False)


@contextmanager
def quiet(file: Path | None = None) -> Iterator[None]:
    """Show caffe's warnings only: its log of a net being built would bury what a command prints.

    A caffe either logs through Python's logger `caffe`, which then has a handler, or to standard error.

    Args:
        file: where all of the log goes that does not pass through Python's.
    """
    handlers = [(handler, handler.level) for handler in logging.getLogger("caffe").handlers]
    if not handlers:
        with glog.captured(file):
            yield
        return
    for handler, _ in handlers:
        handler.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for handler, level in handlers:
            handler.setLevel(level)


def open_net(path: str | Path | None, model: str | None = None, **options: Any) -> NetLike:
    """A `caffe.Net` for testing: of the prototxt, or if there is none the deploy net of `model`.

    `options` are those of `nets.build`. Its parameters are what its fillers make.
    """
    with quiet():
        if path is not None:
            return caffe.Net(str(path), caffe.TEST)
        assert model is not None
        with tempfile.TemporaryDirectory() as folder:
            built = Path(folder, "deploy.prototxt")
            built.write_text(str(nets.build(model, "deploy", **options)))
            return open_net(built)
