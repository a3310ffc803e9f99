"""MATLAB's files, as far as label maps need them: an array of numbers, by itself or in a struct.

Version 5 (which MATLAB writes by `-v6` and `-v7`; "MAT-File Format", MathWorks) is read here, with every
length checked against the bytes there are: a damaged file is an error, whatever it holds, and wherever in the
struct. Version 7.3 is HDF5.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .hdf5 import Refused, check_inside, walk
from .whole import read_whole


class MatError(ValueError):
    """A file is no MATLAB file, is damaged, or lacks what is looked for."""


HEADER = 128
#: Of a file: a label map has a thousandth of it.
MOST_BYTES = 1 << 30
#: A variable is no longer than this: a few compressed bytes may claim to be terabytes.
LARGEST = 1 << 28
#: Cells and structs in each other.
DEEPEST = 16

_MATRIX, _COMPRESSED = 14, 15
_CELL, _STRUCT, _SPARSE = 1, 2, 5
#: Types of data elements, as NumPy writes them.
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
#: Classes of arrays of numbers: from double, 6, to unsigned 64 bits, 15.
_NUMERIC = range(6, 16)
_COMPLEX = 0x0800
_HDF5 = b"\x89HDF\r\n\x1a\n"


class Element(NamedTuple):
    """A piece of a file: its type, and its bytes."""

    kind: int
    data: memoryview


class Matrix(NamedTuple):
    """What every matrix starts with, and its further parts."""

    kind: int
    is_complex: bool
    shape: tuple[int, ...]
    name: str
    parts: Iterator[Element]

    @property
    def values(self) -> int:
        """How many there are."""
        return math.prod(self.shape)


def _all_of(path: str | Path) -> bytes:
    try:
        return read_whole(path, MOST_BYTES)
    except ValueError as error:
        raise MatError(str(error)) from error


def variable(path: str | Path, name: str, field: str | None = None) -> np.ndarray:
    """The array of numbers `name`, H x W as in MATLAB; or `field` of the struct `name`, of its first element.

    Raises:
        MatError: see there.
    """
    data = _all_of(path)
    if _HDF5 in (data[:8], data[512:520]):
        return _of_hdf5(path, name, field)
    order = {b"IM": "<", b"MI": ">"}.get(data[126:HEADER])
    if order is None:
        raise MatError(f"no MATLAB file of version 5 or 7.3 ({len(data)} bytes)")
    try:
        return _Reader(order).find(memoryview(data)[HEADER:], name, field)
    except (struct.error, zlib.error, IndexError) as error:
        raise MatError(f"damaged: {error}") from error


def arrays(path: str | Path) -> dict[str, np.ndarray]:
    """The arrays of real numbers with two axes, H x W as in MATLAB: `mask`, or `struct.mask`.

    Raises:
        MatError: no MATLAB file, or a damaged one.
    """
    data = _all_of(path)
    if _HDF5 in (data[:8], data[512:520]):
        return _arrays_of_hdf5(path)
    order = {b"IM": "<", b"MI": ">"}.get(data[126:HEADER])
    if order is None:
        raise MatError(f"no MATLAB file of version 5 or 7.3 ({len(data)} bytes)")
    try:
        return dict(_Reader(order).arrays(memoryview(data)[HEADER:]))
    except (struct.error, zlib.error, IndexError) as error:
        raise MatError(f"damaged: {error}") from error


class _Reader:
    """Reads elements in a byte order, '<' or '>'; IndexError where bytes and lengths do not agree."""

    def __init__(self, order: str) -> None:
        self.order = order

    def find(self, data: memoryview, name: str, field: str | None) -> np.ndarray:
        others = []
        for element in self.elements(data):
            if element.kind == _COMPRESSED:
                element = _next(self.elements(memoryview(_inflate(element.data))))
            matrix = self.matrix(element)
            if matrix.name != name:
                others.append(matrix.name)
                continue
            self.check(element)
            if field is None:
                return self.array(element, name)
            if matrix.kind != _STRUCT or not matrix.values:
                raise MatError(f"{name} is no struct")
            return self.array(self.fields(matrix, name, field), f"{name}.{field}")
        raise MatError(f"no {name} in it; it has {', '.join(others) or 'nothing'}")

    def arrays(self, data: memoryview) -> Iterator[tuple[str, np.ndarray]]:
        """Every map of numbers in a file and in its structs, by name."""
        for element in self.elements(data):
            if element.kind == _COMPRESSED:
                element = _next(self.elements(memoryview(_inflate(element.data))))
            self.check(element)
            matrix = self.matrix(element)
            if matrix.kind == _STRUCT and matrix.values:
                for field in self.names(matrix):
                    yield from self.maps(_next(matrix.parts), f"{matrix.name}.{field}")
            else:
                yield from self.maps(element, matrix.name)

    def maps(self, element: Element, name: str) -> Iterator[tuple[str, np.ndarray]]:
        """The array of an element, if it is one of real numbers with two axes, both longer than 1."""
        matrix = self.matrix(element) if element.data else None
        if matrix is None or matrix.kind not in _NUMERIC or matrix.is_complex:
            return
        if len(matrix.shape) == 2 and min(matrix.shape) > 1:
            yield name, self.array(element, name)

    def elements(self, data: memoryview) -> Iterator[Element]:
        """The data elements one after the other."""
        at = 0
        while at + 8 <= len(data):
            kind, size = struct.unpack_from(f"{self.order}II", data, at)
            if kind >> 16:  # a small one: type and size in four bytes, the data in the next four
                kind, size, start, after = kind & 0xFFFF, kind >> 16, at + 4, at + 8
                stop = start + size
            else:
                start = at + 8
                stop = start + size
                after = stop if kind == _COMPRESSED else -(-stop // 8) * 8
            if stop > min(after, len(data)):
                raise IndexError("an element reaches beyond its end")
            yield Element(kind, data[start:stop])
            at = after

    def matrix(self, element: Element) -> Matrix:
        if element.kind != _MATRIX:
            raise IndexError(f"an element of type {element.kind} where a matrix should be")
        parts = self.elements(element.data)
        flags, dims = self.numbers(_next(parts)), self.numbers(_next(parts))
        if not flags.size or dims.dtype.kind not in "iu" or (dims < 0).any():
            raise IndexError("a matrix without class or dimensions")
        word, name = int(flags[0]), bytes(_next(parts).data).decode("latin-1")
        return Matrix(word & 0xFF, bool(word & _COMPLEX), tuple(dims.tolist()), name, parts)

    def numbers(self, element: Element) -> np.ndarray:
        if element.kind not in _NUMBERS:
            raise IndexError(f"an element of type {element.kind} where numbers should be")
        dtype = np.dtype(self.order + _NUMBERS[element.kind])
        if len(element.data) % dtype.itemsize:
            raise IndexError("half a number")
        return np.frombuffer(element.data, dtype)

    def check(self, element: Element, depth: int = 0) -> None:
        """See that a matrix and all that is in it is whole."""
        if not element.data and element.kind == _MATRIX:
            return  # as MATLAB writes a field that was never set
        if depth > DEEPEST:
            raise IndexError("structs in structs without end")
        matrix = self.matrix(element)
        if matrix.kind in _NUMERIC:
            for _ in range(1 + matrix.is_complex):
                self.values(matrix)
        elif matrix.kind == _SPARSE:
            for _ in range(3 + matrix.is_complex):
                self.numbers(_next(matrix.parts))
        elif matrix.kind in (_CELL, _STRUCT):
            width = len(self.names(matrix)) if matrix.kind == _STRUCT else 1
            for _ in range(matrix.values * width):
                self.check(_next(matrix.parts), depth + 1)

    def values(self, matrix: Matrix) -> np.ndarray:
        values = self.numbers(_next(matrix.parts))
        if values.size != matrix.values:
            raise IndexError(f"{values.size} values for the dimensions {matrix.shape}")
        return values

    def names(self, matrix: Matrix) -> list[str]:
        """The names of a struct's fields, its next two parts."""
        length, text = self.numbers(_next(matrix.parts)), bytes(_next(matrix.parts).data)
        if not length.size or length.dtype.kind not in "iu" or length[0] <= 0:
            raise IndexError("field names of no length")
        width = int(length[0])
        return [text[i : i + width].split(b"\0")[0].decode("latin-1") for i in range(0, len(text), width)]

    def fields(self, matrix: Matrix, name: str, field: str) -> Element:
        names = self.names(matrix)
        for candidate in names:
            element = _next(matrix.parts)
            if candidate == field:
                return element
        raise MatError(f"no {name}.{field} in it; {name} has {', '.join(names) or 'nothing'}")

    def array(self, element: Element, what: str) -> np.ndarray:
        matrix = self.matrix(element) if element.data else None
        if matrix is None or matrix.kind not in _NUMERIC or matrix.is_complex:
            raise MatError(f"{what} is no array of real numbers")
        values = self.values(matrix)
        return values.reshape(matrix.shape, order="F").astype(values.dtype.newbyteorder("="))


def _next(parts: Iterator[Element]) -> Element:
    found = next(parts, None)
    if found is None:
        raise IndexError("a matrix that lacks parts")
    return found


def _inflate(data: memoryview) -> bytes:
    machine = zlib.decompressobj()
    inflated = machine.decompress(data, LARGEST)
    if machine.unconsumed_tail:
        raise MatError(f"a variable of more than {LARGEST} bytes")
    if not machine.eof:
        raise IndexError("compressed data that do not end")
    return inflated


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Make whatever h5py raises of damaged files a MatError, which begins with `what`."""
    try:
        yield
    except Refused as error:
        raise MatError(str(error)) from error
    except MatError:
        raise
    except (
        OSError,
        RuntimeError,
        LookupError,
        TypeError,
        AttributeError,
        ValueError,
        OverflowError,
    ) as error:
        raise MatError(f"{what}: {error}") from error


def _of_hdf5(path: str | Path, name: str, field: str | None) -> np.ndarray:
    """The same of version 7.3, where axes come in the reverse order."""
    import h5py

    what = name if field is None else f"{name}.{field}"
    with _told(f"no {what} in it, or damaged"), h5py.File(path, "r") as file:
        check_inside(file)
        item: Any = file[name] if field is None else file[name][field]
        if item.dtype == h5py.ref_dtype:  # an array of structs: of the first one
            item = file[item[()].flat[0]]
        if item.dtype.kind not in "iuf":
            raise MatError(f"{what} is no array of numbers")
        if item.nbytes > LARGEST:
            raise MatError(f"a variable of more than {LARGEST} bytes")
        return np.asarray(item[()]).T


def _arrays_of_hdf5(path: str | Path) -> dict[str, np.ndarray]:
    """The same of version 7.3."""
    import h5py

    found: dict[str, np.ndarray] = {}
    with _told("damaged"), h5py.File(path, "r") as file:
        for name, item in walk(file["/"]):
            numbers = isinstance(item, h5py.Dataset) and item.dtype.kind in "iuf" and item.nbytes <= LARGEST
            if numbers and item.ndim == 2 and min(item.shape) > 1:
                found[name.replace("/", ".")] = np.asarray(item[()]).T
    return found
