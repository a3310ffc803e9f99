"""Binary caffemodels: which layer of the file goes where, and whether it fits.

Source of the rules: Caffe's Net::CopyTrainedLayersFrom and ToProto. Layers are matched by name alone.
Everything is checked before the first value is copied, so a file that does not fit leaves the net as it
was.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import numpy as np

from ...proto import caffe_pb2
from ..blob import Blob
from ..errors import ParseError, WeightsError
from ..formats import wire
from ..formats.blobproto import proto_dims, proto_values, same_dims
from ..formats.wire_writer import BlobArrays, write_net
from ..graph.upgrade import upgrade_net
from .fit import LoadTarget, pairs, warn_of_nothing, wrong_count, wrong_shape


class _Values(Protocol):
    """The numbers of a blob in a file, to be copied into an array."""

    @property
    def count(self) -> int: ...

    def read_into(self, target: np.ndarray) -> None: ...


#: (BlobProto, "data" or "diff") -> its numbers, or None where there are none.
_Reader = Callable[[caffe_pb2.BlobProto, str], _Values | None]


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
    header, _ = upgrade_net(header, f"'{path}'")
    _load(header.layer, lambda proto, name: refs[int(proto.data[0])].get(name), targets, f"'{path}'")


def read_blob_proto(proto: caffe_pb2.BlobProto, blob: Blob) -> None:
    """Fill a blob from a message, such as a prototxt's `blobs` (Caffe: Blob::FromProto).

    The blob gets the message's shape.

    Raises:
        WeightsError: there are more or fewer values than the shape says.
    """
    blob.resize(proto_dims(proto))
    for name in ("data", "diff"):
        values = proto_values(proto, name)
        if values.size != blob.count and (values.size or name == "data"):
            raise WeightsError(f"a BlobProto of shape {blob.dims} has {values.size} values of {name}")
        if values.size:
            getattr(blob, name)[...] = values.reshape(blob.dims)


def _load(layers: Sequence[Any], read: _Reader, targets: Sequence[LoadTarget], origin: str) -> None:
    copies: list[tuple[_Values, Blob, str]] = []
    for layer, target in pairs(layers, targets):
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
                        f"shape {proto_dims(proto)} needs {blob.count}"
                    )
                if values:
                    copies.append((values, blob, name))
    warn_of_nothing(copies, targets, origin)
    for values, blob, name in copies:
        values.read_into(getattr(blob, name))


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
