"""Weights in HDF5, laid out as Caffe does, and the few HDF5 habits that solver states need too.

Group `data` has a group per layer, with a float32 dataset per owned blob named by its index; group
`diff`, if there, the same for diffs, sharers included. Source: Caffe's Net::ToHDF5 and
CopyTrainedLayersFromHDF5. A layer name with slashes becomes nested groups, where Caffe gives up.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import ParseError, WeightsError
from .files import could_not_open, replacing
from .fit import LoadTarget, wrong_count, wrong_shape
from .log import log
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
    return found.shape


def read_array(dataset: h5py.Dataset, target: np.ndarray) -> None:
    """Copy a dataset into an array of its shape, without an array in between where that is possible."""
    if dataset.ndim and dataset.size and target.flags.c_contiguous:
        dataset.read_direct(target)
    else:
        target[...] = dataset[()]


def load(path: str | os.PathLike[str], targets: Sequence[LoadTarget]) -> None:
    """Copy the parameters of an HDF5 caffemodel into the layers of the same names.

    Of several layers with one name the last gets them. Diffs in the file are not read, as in Caffe.

    Raises:
        ParseError: the file cannot be opened or read.
        WeightsError: a layer has too many or too few blobs, or one of another shape.
    """
    last = {target.name: target for target in targets}
    with reading(path) as file:
        copies = []
        for name, group in _layers(file["data"]):
            if name in last:
                copies += _check_layer(group, last[name])
            else:
                log.info("Ignoring source layer %s", name)
        for dataset, blob in copies:
            read_array(dataset, blob.data)


def _layers(data: h5py.Group) -> Iterator[tuple[str, h5py.Group]]:
    """Every group under `data` that stands for a layer, by name."""
    import h5py

    groups: list[tuple[str, h5py.Group]] = []
    data.visititems(lambda name, item: groups.append((name, item)) if isinstance(item, h5py.Group) else None)
    for name, group in groups:
        kinds = {isinstance(item, h5py.Dataset) for item in group.values()}
        if kinds != {False}:  # only groups inside: a part of a name with slashes
            yield name, group


def _check_layer(group: h5py.Group, target: LoadTarget) -> list[tuple[h5py.Dataset, Any]]:
    import h5py

    found = sum(isinstance(item, h5py.Dataset) for item in group.values())
    present = [str(index) in group for index in range(len(target.blobs))]
    wanted = any(owned and not there for owned, there in zip(target.owned, present))
    if found > len(target.blobs) or wanted:
        raise wrong_count(f"'{group.file.filename}'", target, found)
    copies = []
    for index in filter(present.__getitem__, range(len(present))):
        shape = array_shape(group, str(index))
        if shape != target.blobs[index].dims:
            raise wrong_shape("load", f"'{group.file.filename}'", target, index, shape)
        copies.append((group[str(index)], target.blobs[index]))
    return copies


def save(path: str | os.PathLike[str], layers: Sequence[LoadTarget], with_diff: bool = False) -> None:
    """Write an HDF5 caffemodel. The file appears whole or not at all.

    Raises:
        WeightsError: it cannot be written, or two layers have the same name.
    """
    names = [layer.name for layer in layers]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise WeightsError(
            f"cannot write '{path}': HDF5 keeps layers by name, and {', '.join(repeated)} stands for several "
            "layers. Rename them, or save in the binary format"
        )
    with writing(path) as file:
        for group, attribute in [("data", "data"), ("diff", "diff")][: 1 + with_diff]:
            file.create_group(group)
            for layer in layers:
                inside = file[group].require_group(layer.name)
                for index, (blob, owned) in enumerate(zip(layer.blobs, layer.owned)):
                    if owned or attribute == "diff":
                        save_array(inside, str(index), getattr(blob, attribute))
