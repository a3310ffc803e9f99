"""Where parameters go in and out of a net: binary caffemodels, HDF5, another net's memory."""

from __future__ import annotations

import os
from collections.abc import Sequence

from ..formats.hdf5 import is_hdf5
from .binary import load_binary, read_blob_proto, save_binary
from .fit import LoadTarget, share
from .hdf5_layout import load as load_hdf5
from .hdf5_layout import save as save_hdf5

__all__ = [
    "LoadTarget",
    "load",
    "load_binary",
    "load_hdf5",
    "read_blob_proto",
    "save_binary",
    "save_hdf5",
    "share",
]


def load(path: str | os.PathLike[str], targets: Sequence[LoadTarget]) -> None:
    """Copy the parameters of a caffemodel, binary or HDF5, into the layers of the same names.

    What the file is is told by its contents, not by its name.

    Raises:
        ParseError: the file cannot be opened or read.
        WeightsError: a layer's blobs differ in number or shape.
    """
    if is_hdf5(path):
        load_hdf5(path, targets)
    else:
        load_binary(path, targets)
