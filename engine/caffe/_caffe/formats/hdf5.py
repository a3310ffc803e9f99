"""Caffe's habits with HDF5: float32 datasets, strings that end in a zero byte, files whole or not there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ParseError, WeightsError
from .files import could_not_open, replacing
from .wire import File

if TYPE_CHECKING:
    import h5py

SIGNATURE = b"\x89HDF\r\n\x1a\n"


def is_hdf5(path: str | os.PathLike[str]) -> bool:
    """Whether the file has HDF5's signature: at its start, or after a user block of 512 bytes or a multiple.

    Raises:
        ParseError: the file cannot be opened.
    """
    file = File(path)
    start = 0
    while start + len(SIGNATURE) <= file.size:
        if file.read(start, len(SIGNATURE)) == SIGNATURE:
            return True
        start = max(2 * start, 512)
    return False


@contextmanager
def reading(path: str | os.PathLike[str]) -> Iterator[h5py.File]:
    """The file open for reading.

    Raises:
        ParseError: it cannot be opened, or what the body reads is missing or broken.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            yield file
    except FileNotFoundError as error:
        raise ParseError(could_not_open(path, error)) from error
    except (OSError, KeyError) as error:
        raise ParseError(f"Failed to read HDF5 file '{path}': {error}") from error


@contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[h5py.File]:
    """A new file, which takes the place of `path` when the body ends well; see `files.replacing`."""
    import h5py

    with replacing(path) as temporary, h5py.File(temporary, "w") as file:
        yield file


def save_array(group: h5py.Group, name: str, array: np.ndarray) -> None:
    """Write a float32 dataset (float64 if that is what the array holds)."""
    group.create_dataset(name, data=array, dtype="<f8" if array.dtype == np.float64 else "<f4")


def save_text(group: h5py.Group, name: str, text: str) -> None:
    """Write a string that ends in a zero byte: Caffe reads as far as the zero."""
    import h5py

    data = text.encode() + b"\0"
    kind = h5py.h5t.C_S1.copy()
    kind.set_size(len(data))
    kind.set_strpad(h5py.h5t.STR_NULLTERM)
    dataset = h5py.h5d.create(group.id, name.encode(), kind, h5py.h5s.create(h5py.h5s.SCALAR))
    dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, np.array(data, f"S{len(data)}"), mtype=kind)


def array_shape(group: h5py.Group, name: str) -> tuple[int, ...]:
    """The shape of the dataset `name`.

    Raises:
        WeightsError: it is no dataset, or its type is neither float nor integer.
    """
    import h5py

    found = group[name]
    if not isinstance(found, h5py.Dataset) or found.dtype.kind not in "fiu":
        raise WeightsError(f"'{group.file.filename}': {group.name}/{name} is not an array of numbers")
    return tuple(found.shape)


def read_array(dataset: h5py.Dataset, target: np.ndarray) -> None:
    """Copy a dataset into an array of its shape, without an array in between where that is possible."""
    if dataset.ndim and dataset.size and target.flags.c_contiguous:
        dataset.read_direct(target)
    else:
        target[...] = dataset[()]
