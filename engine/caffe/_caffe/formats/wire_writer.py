"""Protobuf files with large blobs, written as a stream: the counterpart of `wire`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from ...proto import caffe_pb2
from ..errors import WeightsError
from .files import replacing_stream
from .wire import begin

MESSAGE_LIMIT = 2**31 - 1  # bytes: the longest message protobuf reads


class BlobArrays(NamedTuple):
    """The numbers of a blob to write: float32, or float64 which becomes `double_data`."""

    data: np.ndarray
    diff: np.ndarray | None = None


def write_net(
    path: str | os.PathLike[str],
    name: str,
    layers: Iterable[tuple[caffe_pb2.LayerParameter, Sequence[BlobArrays]]],
) -> None:
    """Write a caffemodel, byte for byte as Caffe does: the net's name and one `layer` each.

    `layers` may be a generator: one layer's arrays are needed at a time. A LayerParameter's own `blobs`
    are left out.

    Raises:
        WeightsError: the file cannot be written, or would be longer than protobuf can read.
    """
    with replacing_stream(path) as file:
        writer = _Writer(file, path)
        writer.write(caffe_pb2.NetParameter(name=name).SerializeToString())
        for layer, blobs in layers:
            writer.layer(layer, blobs)


def write_state(
    path: str | os.PathLike[str], state: caffe_pb2.SolverState, history: Iterable[np.ndarray]
) -> None:
    """Write a solverstate as Caffe does; `history` goes where `state.history` would.

    Raises:
        WeightsError: see `write_net`.
    """
    head, tail = _around(state, "history")
    with replacing_stream(path) as file:
        writer = _Writer(file, path)
        writer.write(head)
        for array in history:
            writer.blob(_number(state, "history"), _Blob(BlobArrays(array)))
        writer.write(tail)


class _Blob:
    """A BlobProto taken apart: its fields as (number, contents) in the order of numbers, and its length."""

    def __init__(self, blob: BlobArrays) -> None:
        self.parts: list[tuple[int, bytes | memoryview]] = []
        if blob.data.shape:  # Caffe writes no shape for a blob without axes
            shape = caffe_pb2.BlobShape(dim=blob.data.shape)
            self.parts.append((_number(caffe_pb2.BlobProto, "shape"), shape.SerializeToString()))
        for name, array in (("data", blob.data), ("diff", blob.diff)):
            if array is not None and array.size:
                double = array.dtype == np.float64
                flat = np.ascontiguousarray(array, "<f8" if double else "<f4").reshape(-1)
                number = _number(caffe_pb2.BlobProto, "double_" * double + name)
                self.parts.append((number, flat.data.cast("B")))
        self.parts.sort(key=lambda part: part[0])
        self.length = sum(len(begin(number, len(part))) + len(part) for number, part in self.parts)


class _Writer:
    def __init__(self, file: BinaryIO, path: str | os.PathLike[str]) -> None:
        self.file, self.path, self.size = file, path, 0

    def write(self, data: bytes | memoryview) -> None:
        self.size += len(data)
        if self.size > MESSAGE_LIMIT:
            raise WeightsError(
                f"cannot write '{self.path}': protobuf files end at 2 GiB. Use HDF5: net.save_hdf5, or "
                "`snapshot_format: HDF5` in the solver"
            )
        self.file.write(data)

    def layer(self, layer: caffe_pb2.LayerParameter, arrays: Sequence[BlobArrays]) -> None:
        head, tail = _around(layer, "blobs")
        number, blobs = _number(layer, "blobs"), [_Blob(blob) for blob in arrays]
        inside = sum(len(begin(number, blob.length)) + blob.length for blob in blobs)
        length = len(head) + inside + len(tail)
        self.write(begin(_number(caffe_pb2.NetParameter, "layer"), length) + head)
        for blob in blobs:
            self.blob(number, blob)
        self.write(tail)

    def blob(self, number: int, blob: _Blob) -> None:
        self.write(begin(number, blob.length))
        for field, part in blob.parts:
            self.write(begin(field, len(part)))
            self.write(part)


def _number(message: Any, name: str) -> int:
    number: int = message.DESCRIPTOR.fields_by_name[name].number
    return number


def _around(message: Any, name: str) -> tuple[bytes, bytes]:
    """The message encoded without field `name`: the fields before it and those after; none of a fork's.

    Protobuf does not mind the order of fields; keeping Caffe's makes the files the same byte for byte.
    """
    head, tail = type(message)(), type(message)()
    for part in (head, tail):
        part.CopyFrom(message)
        part.DiscardUnknownFields()
    for known, _ in message.ListFields():
        if known.number >= _number(message, name):
            head.ClearField(known.name)
        if known.number <= _number(message, name):
            tail.ClearField(known.name)
    return head.SerializePartialToString(), tail.SerializePartialToString()
