"""What a BlobProto says: its shape, in the format of any age, and its values."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ...proto import caffe_pb2
from ..errors import BlobError

_LEGACY = ("num", "channels", "height", "width")


def is_legacy(proto: caffe_pb2.BlobProto) -> bool:
    """Whether any of the four dims of old files is there; they then count, and `shape` does not."""
    return any(proto.HasField(name) for name in _LEGACY)


def proto_dims(proto: caffe_pb2.BlobProto) -> tuple[int, ...]:
    """The shape a BlobProto says it has."""
    return tuple(getattr(proto, name) for name in _LEGACY) if is_legacy(proto) else tuple(proto.shape.dim)


def same_dims(dims: Sequence[int], proto: caffe_pb2.BlobProto) -> bool:
    """Whether a BlobProto fits a blob of shape `dims` (Caffe: Blob::ShapeEquals).

    The dims of old files are four: they fit a shape that equals them once filled up with ones on the
    left, as 1x1x1xN does a bias of N.
    """
    if is_legacy(proto):
        return len(dims) <= 4 and (1,) * (4 - len(dims)) + tuple(dims) == proto_dims(proto)
    return tuple(dims) == proto_dims(proto)


def proto_values(proto: caffe_pb2.BlobProto, name: str = "data") -> np.ndarray:
    """The values of ``data`` or ``diff`` as a flat array: the doubles if there are any, else the floats."""
    doubles, floats = getattr(proto, f"double_{name}"), getattr(proto, name)
    return np.array(doubles, np.float64) if doubles else np.array(floats, np.float32)


def proto_array(proto: caffe_pb2.BlobProto) -> np.ndarray:
    """The data in the BlobProto's shape.

    Raises:
        BlobError: there are more or fewer values than the shape says, or more axes than NumPy has.
    """
    values, dims = proto_values(proto), proto_dims(proto)
    if min(dims, default=0) < 0 or values.size != math.prod(dims):
        raise BlobError(f"a BlobProto of shape {dims} holds {values.size} values")
    try:
        return values.reshape(dims)
    except ValueError as error:
        raise BlobError(f"a BlobProto of {len(dims)} axes: {error}") from error


def shape_text(dims: Sequence[int]) -> str:
    """A shape as Caffe's messages put it: the dims, then the count in brackets."""
    return " ".join(str(dim) for dim in [*dims, f"({math.prod(dims)})"])
