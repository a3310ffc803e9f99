"""Weights in HDF5, laid out as Caffe does (Net::ToHDF5, CopyTrainedLayersFromHDF5).

Group `data` has a group per layer, with a float32 dataset per owned blob named by its index; group
`diff`, if there, the same for diffs, sharers included. A layer name with slashes becomes nested groups,
where Caffe gives up.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import WeightsError
from ..formats.hdf5 import array_shape, group_of, read_array, reading, save_array, walk, writing
from ..log import log
from .fit import LoadTarget, warn_of_nothing, wrong_count, wrong_shape

if TYPE_CHECKING:
    import h5py


def load(path: str | os.PathLike[str], targets: Sequence[LoadTarget]) -> None:
    """Copy the parameters of an HDF5 caffemodel into the layers of the same names.

    Of several layers with one name the last gets them. Diffs in the file are not read, as in Caffe.

    Raises:
        ParseError: the file cannot be opened or read, or is no model.
        WeightsError: a layer has too many or too few blobs, or one of another shape.
    """
    last = {target.name: target for target in targets}
    with reading(path) as file:
        copies = []
        for name, group in _layers(group_of(file, "data", "a model")):
            if name in last:
                copies += _check_layer(group, last[name])
            else:
                log.info("Ignoring source layer %s", name)
        warn_of_nothing(copies, targets, f"'{path}'")
        # All are read before one is set: a damaged array shows when it is read.
        arrays = [(np.empty(dataset.shape, blob.data.dtype), blob) for dataset, blob in copies]
        for (dataset, _), (array, _) in zip(copies, arrays):
            read_array(dataset, array)
    for array, blob in arrays:
        blob.data[...] = array


def _layers(data: h5py.Group) -> Iterator[tuple[str, h5py.Group]]:
    """Every group under `data` that stands for a layer, by name."""
    import h5py

    groups = [(name, item) for name, item in walk(data) if isinstance(item, h5py.Group)]
    for name, group in groups:
        kinds = {isinstance(item, h5py.Dataset) for item in group.values()}
        if kinds != {False}:  # only groups inside: a part of a name with slashes
            yield name, group


def _check_layer(group: h5py.Group, target: LoadTarget) -> list[tuple[h5py.Dataset, Any]]:
    import h5py

    names = [name for name, item in group.items() if isinstance(item, h5py.Dataset)]
    found, odd = len(names), sorted(name for name in names if not name.isdecimal())
    if odd:
        raise WeightsError(
            f"'{group.file.filename}' is not a model: {group.name} holds {', '.join(odd)}; "
            f"the blobs of layer {target.name} ({target.type}) are called 0, 1 and so on"
        )
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
        for group in ("data", "diff") if with_diff else ("data",):
            file.create_group(group)
            for layer in layers:
                inside = file[group].require_group(layer.name)
                for index, (blob, owned) in enumerate(zip(layer.blobs, layer.owned)):
                    if owned or group == "diff":
                        save_array(inside, str(index), getattr(blob, group))
