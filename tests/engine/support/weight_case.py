"""Layers with blobs as loading sees them, for the tests of weights in files."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from caffe._caffe.blob import make_blob
from caffe._caffe.weights import LoadTarget

Shapes = tuple[tuple[int, ...], ...]


def layer(name: str, *shapes: tuple[int, ...], owned: tuple[bool, ...] = ()) -> LoadTarget:
    """A layer with blobs of these shapes, filled with -1."""
    blobs = [make_blob(shape) for shape in shapes]
    for blob in blobs:
        blob.data[...] = -1
        blob.diff[...] = -1
    return LoadTarget(name, "InnerProduct", blobs, owned or (True,) * len(shapes))


def numbered(*layers: LoadTarget) -> list[LoadTarget]:
    """The layers with data 0, 1, 2, ... and diffs 0.5, 1.5, ... in each blob."""
    for target in layers:
        for blob in target.blobs:
            blob.data[...] = np.arange(blob.count).reshape(blob.dims)
            blob.diff[...] = blob.data + 0.5
    return list(layers)


def untouched(*layers: LoadTarget) -> bool:
    """Whether the data of all their blobs are as `layer` made them."""
    return all((blob.data == -1).all() for target in layers for blob in target.blobs)


class _Lines(logging.Handler):
    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self.lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.levelname} {record.getMessage()}")


@contextmanager
def logged() -> Iterator[list[str]]:
    """What the engine logs meanwhile, as `LEVEL message`."""
    lines: list[str] = []
    handler = _Lines(lines)
    logging.getLogger("caffe").addHandler(handler)
    try:
        yield lines
    finally:
        logging.getLogger("caffe").removeHandler(handler)
