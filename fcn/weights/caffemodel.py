"""What a caffemodel holds, without a net to load it into.

A real Caffe ends the process when a file does not fit a net, so the fit is looked up first. For shapes only
the field headers are read: 0.025 s for VGG16's 553 MB, where parsing it with `caffe_pb2` takes 3.7 s and 1.1
GB.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from surgery import BlobLike

# caffe.proto: where the current and the V1 format keep layers, and a layer its name and blobs.
_LAYERS = {100: (1, 7), 2: (4, 6)}
_LEGACY_DIMS, _SHAPE, _DIM = (1, 2, 3, 4), 7, 1
_VALUES = {5: "<f4", 8: "<f8"}  # data and double_data, packed
_VARINT, _LENGTH = 0, 2
_FIXED = {1: 8, 5: 4}

Shape = tuple[int, ...]
Blob = TypeVar("Blob")


def shapes(path: str | Path) -> dict[str, list[Shape]] | None:
    """Layer name -> shapes of its parameters; None for a file of another format (HDF5).

    Raises:
        ValueError: a file that is cut off or no caffemodel.
    """
    with open(path, "rb") as file:
        if file.read(4) == b"\x89HDF":
            return None
    return _read(path, _blob_shape)


def arrays(path: str | Path) -> dict[str, list[np.ndarray]]:
    """Layer name -> its parameters, in the shapes and the precision of the file (binary format).

    Raises:
        ValueError: a file that is cut off or no caffemodel.
    """
    return _read(path, _blob_array)


def _read(path: str | Path, blob: Callable[[mmap.mmap, int, int], Blob]) -> dict[str, list[Blob]]:
    if Path(path).stat().st_size == 0:
        raise ValueError(f"{path}: the file is empty")
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            found = {name: [blob(data, *span) for span in spans] for name, spans in _layers(data)}
        except IndexError as error:
            raise ValueError(f"{path}: not a caffemodel, or cut off ({len(data)} bytes)") from error
    if not found:
        raise ValueError(f"{path}: no layer with parameters in it; is it a caffemodel?")
    return found


def check_fit(
    path: str | Path, params: Mapping[str, Sequence[BlobLike]], found: dict[str, list[Shape]]
) -> None:
    """Raise ValueError naming the layers of the file whose shapes are not those of the net's `params`.

    4-D shapes of old files count as equal when they are so without leading ones.
    """
    wrong = []
    for layer, stored in found.items():
        for i, (shape, blob) in enumerate(zip(stored, params.get(layer, ()))):
            wanted = tuple(blob.data.shape)
            if bare(shape) != bare(wanted):
                wrong.append(f"  layer '{layer}', parameter {i}: file {shape}, net {wanted}")
    if wrong:
        raise ValueError(
            "\n".join(
                [
                    f"{path} does not fit the net:",
                    *wrong[:6],
                    *([f"  ... and {len(wrong) - 6} more"] if len(wrong) > 6 else []),
                    "Other numbers of outputs mean other classes (--classes) or widths (--width) than it was "
                    "trained with. To go on from it with other classes, rename the layer in the net, or load "
                    "it by surgery.transplant(new_net, old_net, skip=[layer]) or surgery.expand_score.",
                ]
            )
        )


def bare(shape: Shape) -> Shape:
    """The shape without leading ones: old files store every parameter with four axes."""
    while len(shape) > 1 and shape[0] == 1:
        shape = shape[1:]
    return tuple(shape)


def _layers(data: mmap.mmap) -> Iterator[tuple[str, list[tuple[int, int]]]]:
    """The name of each layer with parameters, and where its blobs start and end."""
    for number, span in _fields(data, 0, len(data)):
        if number not in _LAYERS or isinstance(span, int):
            continue
        name_field, blob_field = _LAYERS[number]
        name, blobs = "", []
        for inner, value in _fields(data, *span):
            if inner == name_field and not isinstance(value, int):
                name = data[slice(*value)].decode("utf-8", "replace")
            elif inner == blob_field and not isinstance(value, int):
                blobs.append(value)
        if blobs:
            yield name, blobs


def _blob_shape(data: mmap.mmap, start: int, end: int) -> Shape:
    legacy: dict[int, int] = {}
    for number, value in _fields(data, start, end):
        if number == _SHAPE and not isinstance(value, int):
            return tuple(_dims(data, *value))
        if number in _LEGACY_DIMS and isinstance(value, int):
            legacy[number] = value
    return tuple(legacy.get(number, 0) for number in _LEGACY_DIMS) if legacy else ()


def _blob_array(data: mmap.mmap, start: int, end: int) -> np.ndarray:
    shape, values = _blob_shape(data, start, end), np.zeros(0, np.float32)
    for number, value in _fields(data, start, end):
        if number in _VALUES and not isinstance(value, int):
            values = np.frombuffer(data[slice(*value)], _VALUES[number])
    if values.size != math.prod(shape):
        raise IndexError(f"{values.size} values for the shape {shape}")
    return values.reshape(shape)


def _dims(data: mmap.mmap, start: int, end: int) -> Iterator[int]:
    for number, value in _fields(data, start, end):
        if number != _DIM:
            continue
        if isinstance(value, int):
            yield value
            continue
        at, stop = value
        while at < stop:
            dim, at = _varint(data, at)
            yield dim


def _fields(data: mmap.mmap, at: int, end: int) -> Iterator[tuple[int, int | tuple[int, int]]]:
    """(number, value) of varints and (number, (start, end)) of everything with a length, in order."""
    while at < end:
        key, at = _varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, at = _varint(data, at)
            yield number, value
        elif kind == _LENGTH:
            length, at = _varint(data, at)
            if at + length > end:
                raise IndexError("a field reaches beyond the end")
            yield number, (at, at + length)
            at += length
        elif kind in _FIXED:
            at += _FIXED[kind]
        else:
            raise IndexError(f"wire type {kind}")


def _varint(data: mmap.mmap, at: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 70:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
    raise IndexError("a varint of more than ten bytes")
