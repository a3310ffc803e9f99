"""Files of protobuf messages: prototxts and small binary messages, with errors that say where.

Weights are read by `wire`, which leaves their numbers in the file.
"""

from __future__ import annotations

import os
from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from ..errors import DataError, ParseError
from . import proto_text
from .files import MESSAGE, TEXT, check_size, could_not_open
from .strange_text import LayerTypes

M = TypeVar("M", bound=Message)

_BINARY_SIGNS = {b"\x89HDF": "an HDF5 file", b"\x80\x02": "a pickle", b"PK\x03\x04": "a zip archive"}


def read_text(path: str | os.PathLike[str], message: M, types: LayerTypes | None = None) -> M:
    """Replace the contents of `message` by the prototxt at `path`, and return it.

    Args:
        types: the layer types there are, as for `proto_text.parse`.

    Raises:
        ParseError: the file cannot be opened, or `PATH:LINE:COLUMN: layer .., field ..: what is wrong`.
    """
    data = read_bytes(path, TEXT)
    for sign, kind in _BINARY_SIGNS.items():
        if data.startswith(sign):
            raise ParseError(f"'{os.fspath(path)}' is {kind}, not a {message.DESCRIPTOR.name} in text")
    if b"\0" in data:
        raise ParseError(f"'{os.fspath(path)}' is a binary file, not a {message.DESCRIPTOR.name} in text")
    return parse_text(_decode(data), message, os.fspath(path), types)


def parse_text(text: str, message: M, source: str = "text", types: LayerTypes | None = None) -> M:
    """Replace the contents of `message` by what `text` says; see `proto_text.parse`."""
    return proto_text.parse(text, message, source, types)


def read_binary(path: str | os.PathLike[str], message: M) -> M:
    """Replace the contents of `message` by the encoded message at `path`, and return it.

    Raises:
        ParseError: the file cannot be opened, or does not hold such a message.
    """
    data = read_bytes(path)
    try:
        message.ParseFromString(data)
    except DecodeError as error:
        kind = message.DESCRIPTOR.name
        raise ParseError(f"Failed to parse {kind} file '{os.fspath(path)}': {error}") from error
    return message


def read_bytes(path: str | os.PathLike[str], most: int = MESSAGE) -> bytes:
    """All of a file.

    Raises:
        ParseError: "Could not open file PATH", as pycaffe words it, with the reason; or it has more than
            `most` bytes.
    """
    try:
        with open(path, "rb") as file:
            check_size(path, file, most)
            return file.read()
    except DataError as error:
        raise ParseError(str(error)) from error
    except OSError as error:
        raise ParseError(could_not_open(path, error)) from error


def _decode(data: bytes) -> str:
    """UTF-8, with or without a mark; else Latin-1, which old prototxts have in their comments."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")
