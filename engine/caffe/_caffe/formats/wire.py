"""Protobuf files with large blobs, read without the numbers passing through protobuf.

A caffemodel is a few kilobytes of structure around hundreds of megabytes of floats. Parsing it with
protobuf costs several times its size in memory. Here the structure is walked by hand: the numbers of
every BlobProto stay in the file as a `BlobRef` (where they lie), and protobuf parses the rest.

In the parsed rest each BlobProto keeps its shape fields and has a single number as `data`: the index
of its BlobRef. The upgrades of old formats move BlobProtos from message to message, so only something
inside the BlobProto still leads to the right numbers afterwards. A float32 holds an index exactly up
to 2**24.

Wire types, as in protobuf's encoding: 0 varint, 1 eight bytes, 2 length and bytes, 5 four bytes.
"""

from __future__ import annotations

import io
import os
import struct
import weakref
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from google.protobuf.message import DecodeError, Message

from ...proto import caffe_pb2
from ..errors import ParseError
from .files import could_not_open

VARINT, EIGHT, LENGTH, FOUR = 0, 1, 2, 5
BLOB = caffe_pb2.BlobProto.DESCRIPTOR
BLOCK = 1 << 16  # bytes of structure read at a time
CHUNK = 1 << 20  # values converted at a time

_PAYLOADS = {
    BLOB.fields_by_name[name].number: (name, np.dtype(dtype))
    for name, dtype in (("data", "<f4"), ("diff", "<f4"), ("double_data", "<f8"), ("double_diff", "<f8"))
}


# ---- where numbers lie ---------------------------------------------------------------------------


class File:
    """A file open for reading at any place; closed when nobody refers to it any more."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Raises ParseError if the file cannot be opened."""
        self.path = os.fspath(path)
        try:
            descriptor = os.open(self.path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
            weakref.finalize(self, os.close, descriptor)
            self._raw = io.FileIO(descriptor, closefd=False)
        except OSError as error:
            raise ParseError(could_not_open(self.path, error)) from error
        self.size = os.fstat(descriptor).st_size
        self._block, self._block_start = b"", 0

    def read(self, start: int, count: int) -> bytes:
        """`count` bytes (fewer at the end of the file) from `start`, through a small buffer."""
        offset = start - self._block_start
        if not 0 <= offset <= len(self._block) - count:
            block = bytearray(max(count, BLOCK))
            got = self.read_into(start, memoryview(block))
            self._block, self._block_start, offset = bytes(block[:got]), start, 0
        return self._block[offset : offset + count]

    def read_into(self, start: int, target: memoryview) -> int:
        """Fill `target` (bytes) from `start`; returns how many bytes there were."""
        done = 0
        try:
            self._raw.seek(start)
            while done < len(target) and (got := self._raw.readinto(target[done:])):
                done += got
        except OSError as error:
            raise ParseError(f"cannot read '{self.path}' at byte {start}: {error.strerror}") from error
        return done


class Segment(NamedTuple):
    """A run of numbers in a file: where the first one is, how many, and the bytes from one to the next."""

    start: int
    size: int
    stride: int


@dataclass
class Values:
    """Numbers that lie in a file: what a BlobProto has in one of its four value fields."""

    file: File
    dtype: np.dtype
    segments: list[Segment] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many numbers there are."""
        return sum(segment.size for segment in self.segments)

    def read_into(self, target: np.ndarray) -> None:
        """Copy the numbers into `target`, an array of as many values, without an array in between.

        Raises:
            ParseError: the file became shorter since it was scanned, or cannot be read.
            ValueError: `target` holds more or fewer values.
        """
        if target.size != self.count:
            raise ValueError(f"{self.count} values do not fit an array of {target.size}")
        if not target.flags.c_contiguous:
            target[...] = self.read().reshape(target.shape)
            return
        flat = target.reshape(-1)
        for segment in self.segments:
            part, flat = flat[: segment.size], flat[segment.size :]
            if segment.stride == self.dtype.itemsize and target.dtype == self.dtype:
                self._fill(segment.start, part)
            else:
                self._convert(segment, part)

    def read(self) -> np.ndarray:
        """The numbers as a new flat array."""
        values = np.empty(self.count, self.dtype)
        self.read_into(values)
        return values

    def _convert(self, segment: Segment, target: np.ndarray) -> None:
        for done in range(0, segment.size, CHUNK):
            part = target[done : done + CHUNK]
            raw = np.empty((len(part) - 1) * segment.stride + self.dtype.itemsize, np.uint8)
            self._fill(segment.start + done * segment.stride, raw)
            part[:] = np.ndarray(part.shape, self.dtype, raw, strides=(segment.stride,))

    def _fill(self, start: int, target: np.ndarray) -> None:
        if self.file.read_into(start, target.data.cast("B")) != target.nbytes:
            raise ParseError(f"'{self.file.path}' was cut while it was read, after byte {start}")


@dataclass
class BlobRef:
    """The numbers of one BlobProto. Caffe takes the doubles where there are any, else the floats."""

    values: dict[str, Values] = field(default_factory=dict)

    def get(self, name: str) -> Values | None:
        """`name` is ``data`` or ``diff``; None if the BlobProto has no such numbers."""
        return self.values.get(f"double_{name}") or self.values.get(name)


# ---- scanning ------------------------------------------------------------------------------------


def scan_net(path: str | os.PathLike[str]) -> tuple[caffe_pb2.NetParameter, list[BlobRef]]:
    """A caffemodel of any age as its structure and its numbers; see `scan`."""
    return scan(path, caffe_pb2.NetParameter)


def scan(path: str | os.PathLike[str], message: type[Message]) -> tuple[Any, list[BlobRef]]:
    """Read a binary file of type `message` (NetParameter, SolverState, ...), leaving the numbers in it.

    The whole structure is checked before this returns. Fields the message does not have are passed
    over, as protobuf does.

    Returns:
        The message, in which every BlobProto has its own index in the second result as its one `data`
        value, and the BlobRefs. They keep the file open.

    Raises:
        ParseError: the file cannot be opened, is cut or corrupt; names the byte and what was expected.
    """
    file = File(path)
    scanner = _Scanner(file, message.DESCRIPTOR)
    header = scanner.strip(0, file.size, message.DESCRIPTOR)
    try:
        return message.FromString(bytes(header)), scanner.blobs
    except DecodeError as error:
        raise ParseError(f"{scanner.failed}: {error}{_look_alike(file)}") from error


@cache
def _ways(descriptor: Any) -> dict[int, Any]:
    """The fields that lead to a BlobProto, however deep: number -> type of the sub-message."""
    return {
        known.number: known.message_type
        for known in descriptor.fields
        if known.message_type is not None and (known.message_type is BLOB or _ways(known.message_type))
    }


class _Field(NamedTuple):
    """A field in the file: `start` of its key, `value` where its contents begin, `end`."""

    number: int
    wire: int
    start: int
    value: int
    end: int


class _Scanner:
    """One walk through a file; `blobs` grows by a BlobRef for every BlobProto."""

    def __init__(self, file: File, descriptor: Any) -> None:
        self.file = file
        self.blobs: list[BlobRef] = []
        self.failed = f"Failed to parse {descriptor.name} file '{file.path}'"

    def fail(self, position: int, text: str) -> ParseError:
        return ParseError(f"{self.failed}: at byte {position}, {text}{_look_alike(self.file)}")

    def strip(self, start: int, end: int, descriptor: Any) -> bytearray:
        """The message in bytes `start` to `end`, encoded anew with the numbers taken out."""
        if descriptor is BLOB:
            return self.strip_blob(start, end)
        ways, known = _ways(descriptor), descriptor.fields_by_number
        result = bytearray()
        while start < end:
            item = self.field(start, end, descriptor)
            if item.number in ways and item.wire == LENGTH:
                result += nested(item.number, self.strip(item.value, item.end, ways[item.number]))
            elif item.number in known:
                self.check_text(item, known[item.number])
                result += self.file.read(item.start, item.end - item.start)
            start = item.end
        return result

    def strip_blob(self, start: int, end: int) -> bytearray:
        """A BlobProto with the index of a new BlobRef as its data."""
        result, blob = bytearray(), BlobRef()
        while start < end:
            item = self.field(start, end, BLOB)
            name, dtype = _PAYLOADS.get(item.number, ("", np.dtype("<f4")))
            if name and item.wire == LENGTH:
                segment = self.packed(item, dtype.itemsize)
            elif name and item.wire == (EIGHT if dtype.itemsize == 8 else FOUR):
                segment = self.unpacked(item, end)
                item = item._replace(end=item.end + (segment.size - 1) * segment.stride)
            else:
                segment = Segment(0, 0, 0)
                if item.number in BLOB.fields_by_number:
                    result += self.file.read(item.start, item.end - item.start)
            if segment.size:
                blob.values.setdefault(name, Values(self.file, dtype)).segments.append(segment)
            start = item.end
        result += nested(BLOB.fields_by_name["data"].number, struct.pack("<f", len(self.blobs)))
        self.blobs.append(blob)
        return result

    def packed(self, item: _Field, size: int) -> Segment:
        length = item.end - item.value
        if length % size:
            raise self.fail(item.value, f"{length} bytes are not a whole number of values of {size} bytes")
        return Segment(item.value, length // size, size)

    def unpacked(self, item: _Field, end: int) -> Segment:
        """A run of values that each have their key, one byte, before them."""
        key, stride = item.number << 3 | item.wire, item.end - item.value + 1
        start, count = item.end, 1
        while start < end:
            raw = np.frombuffer(self.file.read(start, min(CHUNK * stride, end - start)), np.uint8)
            keys = raw[: len(raw) // stride * stride : stride]
            same = len(keys) if (keys == key).all() else int(np.argmax(keys != key))
            count, start = count + same, start + same * stride
            if same < CHUNK:
                break
        return Segment(item.value, count, stride)

    def field(self, start: int, end: int, descriptor: Any) -> _Field:
        """The field that begins at `start`, checked to lie inside its message."""
        key, value = self.varint(start, end)
        number, wire = key >> 3, key & 7
        if not 0 < number < 1 << 29 or wire not in (VARINT, EIGHT, LENGTH, FOUR):
            raise self.fail(
                start, f"expected a field of {descriptor.name}, not number {number} of wire type {wire}"
            )
        if wire == VARINT:
            stop = self.varint(value, end)[1]
        elif wire == LENGTH:
            length, value = self.varint(value, end)
            stop = value + length
        else:
            stop = value + (8 if wire == EIGHT else 4)
        if stop > end:
            name = getattr(descriptor.fields_by_number.get(number), "name", str(number))
            needs = f"{stop - value} bytes, but {end - value} are left"
            raise self.fail(start, f"field {name} of {descriptor.name} needs {needs}")
        return _Field(number, wire, start, value, stop)

    def varint(self, start: int, end: int) -> tuple[int, int]:
        """A base-128 number and where it ends."""
        value = 0
        for shift, byte in enumerate(self.file.read(start, min(10, end - start))):
            value |= (byte & 127) << 7 * shift
            if byte < 128:
                return value, start + shift + 1
        raise self.fail(start, "expected a varint (1 to 10 bytes, the last below 128)")

    def check_text(self, item: _Field, known: Any) -> None:
        if known.type == known.TYPE_STRING and item.wire == LENGTH:
            try:
                self.file.read(item.value, item.end - item.value).decode()
            except UnicodeDecodeError as error:
                raise self.fail(item.value, f"{known.full_name} is not UTF-8 text") from error


def _look_alike(file: File) -> str:
    """What the file is instead, where its first bytes tell."""
    head = file.read(0, 64).lstrip()
    if head.startswith(b"<"):
        return ". It is a web page: download the model itself"
    if head.startswith(b"version https://git-lfs"):
        return ". It is a Git LFS pointer: fetch the model itself with `git lfs pull`"
    if head.startswith(b"\x89HDF\r\n"):
        return ". It is an HDF5 file"
    if head and all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in head):
        return ". It is text: a prototxt in place of the binary file?"
    return ""


# ---- encoding ------------------------------------------------------------------------------------


def varint(value: int) -> bytes:
    """`value` (not negative) as a base-128 number."""
    result = bytearray()
    while value > 127:
        result.append(value & 127 | 128)
        value >>= 7
    result.append(value)
    return bytes(result)


def begin(number: int, length: int) -> bytes:
    """The key and length that stand before `length` bytes of contents of field `number`."""
    return varint(number << 3 | LENGTH) + varint(length)


def nested(number: int, contents: bytes | bytearray) -> bytes:
    """Field `number` with its contents."""
    return begin(number, len(contents)) + contents
