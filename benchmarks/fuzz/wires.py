"""Changes of protobuf's wire format field by field, with the lengths around them made right again."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from .mutate import NUMBERS, changed, mutated

_VARINT, _EIGHT, _LENGTH, _FOUR = 0, 1, 2, 5
_DEEP = (10, 99, 101, 5000)

#: A field: its number, its wire type, and a number, bytes, or the fields inside.
Item = tuple[int, int, Any]


def varied(rng: random.Random, corpus: Sequence[bytes]) -> bytes:
    """One of the messages with some of its fields changed."""
    if rng.random() < 0.3:
        return mutated(rng, corpus)
    items = parse(rng.choice(corpus), 6)
    for _ in range(rng.choice((1, 1, 2, 4))):
        _change(rng, items)
    data = encode(items)
    return changed(rng, data) if rng.random() < 0.1 else data


def parse(data: bytes, depth: int) -> list[Item]:
    """The fields of a message, and of those that bytes in it look like. IndexError where it is none."""
    items: list[Item] = []
    at = 0
    while at < len(data):
        key, at = _read(data, at)
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, at = _read(data, at)
            items.append((number, wire, value))
            continue
        if wire == _LENGTH:
            size, at = _read(data, at)
        else:
            size = {_EIGHT: 8, _FOUR: 4}[wire]
        piece = data[at : at + size]
        if len(piece) < size or not number:
            raise IndexError("a field reaches beyond the end")
        at += size
        items.append((number, wire, _inside(piece, depth) if wire == _LENGTH else piece))
    return items


def _inside(piece: bytes, depth: int) -> bytes | list[Item]:
    if depth and len(piece) > 1:
        try:
            return parse(piece, depth - 1)
        except (IndexError, KeyError):
            pass
    return piece


def encode(items: Sequence[Item]) -> bytes:
    """The bytes of fields."""
    parts = []
    for number, wire, value in items:
        parts.append(varint(number << 3 | wire))
        if wire == _VARINT:
            parts.append(varint(value))
        elif wire == _LENGTH:
            piece = encode(value) if isinstance(value, list) else value
            parts.append(varint(len(piece)) + piece)
        else:
            parts.append(value)
    return b"".join(parts)


def varint(value: int) -> bytes:
    """A number in base 128."""
    written = bytearray()
    while value > 127:
        written.append(value & 127 | 128)
        value >>= 7
    return bytes([*written, value])


def _read(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
        if shift > 63:
            raise IndexError("a number of more than ten bytes")


def _change(rng: random.Random, items: list[Item]) -> None:
    """One change somewhere in the tree."""
    while (
        nested := [value for _, _, value in items if isinstance(value, list) and value]
    ) and rng.random() < 0.75:
        items = rng.choice(nested)
    if not items:
        return
    at = rng.randrange(len(items))
    number, wire, value = items[at]
    kind = rng.randrange(7)
    if kind == 0:
        del items[at]
    elif kind == 1:
        items[at:at] = [items[at]] * rng.choice((1, 2, 50))
    elif kind == 2:
        items[at] = (rng.choice((1, 2, 7, 15, 100, 1 << 28, (1 << 29) - 1)), wire, value)
    elif kind == 3:
        items[at] = (number, _VARINT, rng.choice(NUMBERS))
    elif kind == 4:
        piece = encode(value) if isinstance(value, list) else value if isinstance(value, bytes) else b""
        items[at] = (number, _LENGTH, changed(rng, piece))
    elif kind == 5:
        items.insert(rng.randrange(len(items) + 1), items.pop(at))
    else:
        _deepen(rng, items, at)


def _deepen(rng: random.Random, items: list[Item], at: int) -> None:
    """A message in itself, again and again."""
    number, _, value = items[at]
    piece = encode(value) if isinstance(value, list) else b""
    for _ in range(rng.choice(_DEEP)):
        piece = varint(number << 3 | _LENGTH) + varint(len(piece)) + piece
    items[at] = (number, _LENGTH, piece)
