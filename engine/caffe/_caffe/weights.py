"""Parameters from and to files: which layer of the file goes where, and whether it fits.

Source of the rules: Caffe's Net::CopyTrainedLayersFrom, ToProto and ShareTrainedLayersWith. Layers are
matched by name alone. Everything is checked before the first value is copied, so a file that does not
fit leaves the net as it was.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from caffe.proto import caffe_pb2

from . import wire
from .blob import Blob
from .blobproto import proto_dims, proto_values, same_dims, shape_text
from .errors import ParseError, WeightsError
from .fit import LoadTarget, wrong_count, wrong_shape
from .graph.upgrade import upgrade_net
from .hdf5 import is_hdf5
from .hdf5 import load as load_hdf5
from .hdf5 import save as save_hdf5
from .log import log
from .wire_writer import BlobArrays, write_net

__all__ = [
    "LoadTarget", "load", "load_binary", "load_hdf5", "load_proto", "read_blob_proto", "save_binary",
    "save_hdf5", "share",
]  # fmt: skip


class _Values(Protocol):
    """Numbers that can be copied into an array: those of a file or of a message in memory."""

    @property
    def count(self) -> int: ...

    def read_into(self, target: np.ndarray) -> None: ...


class _InMemory:
    def __init__(self, values: np.ndarray) -> None:
        self.values, self.count = values, values.size

    def read_into(self, target: np.ndarray) -> None:
        target[...] = self.values.reshape(target.shape)


#: (BlobProto, "data" or "diff") -> its numbers, or None where there are none.
_Reader = Callable[[caffe_pb2.BlobProto, str], _Values | None]


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


def load_binary(path: str | os.PathLike[str], targets: Sequence[LoadTarget]) -> None:
    """`load` for a binary caffemodel of any age (old formats are upgraded).

    Data go from the file straight into the blobs' memory; diffs too if the file has them.
    """
    try:
        header, refs = wire.scan_net(path)
    except ParseError as error:
        if not os.fspath(path).endswith(".solverstate"):
            raise
        raise WeightsError(
            f"'{path}' is a solver state: it holds no weights. Load the .caffemodel written with it, or "
            "continue the training with solver.restore"
        ) from error
    upgrade_net(header, f"'{path}'")
    _load(header.layer, lambda proto, name: refs[int(proto.data[0])].get(name), targets, f"'{path}'")


def load_proto(
    net: caffe_pb2.NetParameter, targets: Sequence[LoadTarget], origin: str = "a NetParameter"
) -> None:
    """`load` for a message in memory, in the current format; `origin` names it in errors."""

    def read(proto: caffe_pb2.BlobProto, name: str) -> _Values | None:
        values = proto_values(proto, name)
        return _InMemory(values) if values.size else None

    _load(net.layer, read, targets, origin)


def read_blob_proto(proto: caffe_pb2.BlobProto, blob: Blob, reshape: bool = True) -> None:
    """Fill a blob from a message, such as a prototxt's `blobs` (Caffe: Blob::FromProto).

    Args:
        reshape: give the blob the message's shape; otherwise the shapes must agree.

    Raises:
        WeightsError: the shapes differ, or there are more or fewer values than the shape says.
    """
    if reshape:
        blob.resize(proto_dims(proto))
    elif not same_dims(blob.dims, proto):
        shapes = f"{shape_text(proto_dims(proto))} for a blob of shape {shape_text(blob.dims)}"
        raise WeightsError(f"shape mismatch: a BlobProto of shape {shapes}")
    for name in ("data", "diff"):
        values = proto_values(proto, name)
        if values.size != blob.count and (values.size or name == "data"):
            raise WeightsError(
                f"a BlobProto of shape {shape_text(blob.dims)} has {values.size} values of {name}"
            )
        if values.size:
            getattr(blob, name)[...] = values.reshape(blob.dims)


def _load(layers: Sequence[Any], read: _Reader, targets: Sequence[LoadTarget], origin: str) -> None:
    copies: list[tuple[_Values, Blob, str]] = []
    for layer, target in _pairs(layers, targets):
        if len(layer.blobs) != len(target.blobs):
            raise wrong_count(origin, target, len(layer.blobs))
        for index, (proto, blob) in enumerate(zip(layer.blobs, target.blobs)):
            if not same_dims(blob.dims, proto):
                raise wrong_shape("copy", origin, target, index, proto_dims(proto))
            for name in ("data", "diff"):
                values = read(proto, name)
                found = values.count if values else 0
                if found != blob.count and (found or name == "data"):
                    raise WeightsError(
                        f"{origin}: param {index} of layer '{target.name}' has {found} values of {name}; its "
                        f"shape {shape_text(proto_dims(proto))} needs {blob.count}"
                    )
                if values:
                    copies.append((values, blob, name))
    if not copies and any(layer.blobs for layer in layers):
        log.warning("%s: no layer of the net has the name of one with parameters; nothing is loaded", origin)
    for values, blob, name in copies:
        values.read_into(getattr(blob, name))


def share(sources: Iterable[LoadTarget], targets: Sequence[LoadTarget]) -> None:
    """Let the targets' blobs use the data memory of the sources of the same names; diffs stay apart.

    Raises:
        WeightsError: a layer's blobs differ in number or shape.
    """
    pairs = []
    for source, target in _pairs(sources, targets):
        if len(source.blobs) != len(target.blobs):
            raise wrong_count("the net to share with", target, len(source.blobs))
        for index, (theirs, ours) in enumerate(zip(source.blobs, target.blobs)):
            if theirs.dims != ours.dims:
                raise wrong_shape("share", "the net to share with", target, index, theirs.dims)
            pairs.append((theirs, ours))
    for theirs, ours in pairs:
        ours.share_data(theirs)


def save_binary(
    path: str | os.PathLike[str],
    net_name: str,
    layers: Iterable[tuple[caffe_pb2.LayerParameter, Sequence[Blob]]],
    with_diff: bool = False,
) -> None:
    """Write a binary caffemodel: each layer's own LayerParameter and its blobs.

    Blobs that layers share are written in each of them. The file appears whole or not at all.

    Raises:
        WeightsError: it cannot be written.
    """
    arrays = (
        (layer, [BlobArrays(blob.data, blob.diff if with_diff else None) for blob in blobs])
        for layer, blobs in layers
    )
    write_net(path, net_name, arrays)


def _pairs(sources: Iterable[Any], targets: Sequence[LoadTarget]) -> Iterator[tuple[Any, LoadTarget]]:
    """Each source with the first target of its name."""
    first: dict[str, LoadTarget] = {}
    for target in targets:
        first.setdefault(target.name, target)
    for source in sources:
        if source.name in first:
            yield source, first[source.name]
        else:
            log.info("Ignoring source layer %s", source.name)
