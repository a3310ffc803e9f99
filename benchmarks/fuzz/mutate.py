"""Changes of bytes that know nothing of the format, but for the numbers that lengths are written as."""

from __future__ import annotations

import random
import re
import struct
from collections.abc import Callable, Sequence

#: Where additions, products and signs go wrong.
NUMBERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x10000, 1 << 24, (1 << 31) - 1, 1 << 31, (1 << 32) - 1,
           1 << 32, 1 << 40, (1 << 62), (1 << 63) - 1, 1 << 63, (1 << 64) - 1)  # fmt: skip
#: How whole numbers lie in files.
_PACKED = ("<B", "<H", ">H", "<I", ">I", "<Q", ">Q")
_LONGEST = 1 << 18

Vary = Callable[[random.Random, Sequence[bytes]], bytes]


def mutated(rng: random.Random, corpus: Sequence[bytes]) -> bytes:
    """One of the files with one to four changes."""
    data = rng.choice(corpus)
    for _ in range(rng.choice((1, 1, 2, 4))):
        data = changed(rng, data, corpus)
    return data[:_LONGEST]


def changed(rng: random.Random, data: bytes, corpus: Sequence[bytes] = ()) -> bytes:
    """`data` with one change; `corpus`: other files that a piece may come from."""
    return rng.choice(_CHANGES)(rng, data, corpus or (data,))


def _place(rng: random.Random, data: bytes) -> int:
    """Where a change is made: heads are short and say most."""
    end = len(data) if rng.random() < 0.6 else min(len(data), 256)
    return rng.randrange(end + 1)


def _flip(rng: random.Random, data: bytes, corpus: Sequence[bytes]) -> bytes:
    if not data:
        return data
    at = min(_place(rng, data), len(data) - 1)
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]


def _set(rng: random.Random, data: bytes, corpus: Sequence[bytes]) -> bytes:
    at = _place(rng, data)
    return (
        data[:at]
        + rng.choice((b"\0", b"\xff", b"\x80", b"\x7f", b"\n", bytes([rng.randrange(256)])))
        + data[at + 1 :]
    )


def _cut(rng: random.Random, data: bytes, corpus: Sequence[bytes]) -> bytes:
    return data[: _place(rng, data)]


def _drop(rng: random.Random, data: bytes, corpus: Sequence[bytes]) -> bytes:
    at = _place(rng, data)
    return data[:at] + data[at + rng.choice((1, 2, 4, 8, 64)) :]


def _insert(rng: random.Random, data: bytes, corpus: Sequence[bytes]) -> bytes:
    at = _place(rng, data)
    return data[:at] + rng.randbytes(rng.choice((1, 2, 4, 8, 64))) + data[at:]


def _repeat(rng: random.Random, data: bytes, corpus: Sequence[bytes]) -> bytes:
    at = _place(rng, data)
    piece = data[at : at + rng.choice((1, 4, 16, 64))]
    return data[:at] + piece * rng.choice((2, 3, 100)) + data[at:]


def _splice(rng: random.Random, data: bytes, corpus: Sequence[bytes]) -> bytes:
    other = rng.choice(corpus)
    return data[: _place(rng, data)] + other[_place(rng, other) :]


def _number(rng: random.Random, data: bytes, corpus: Sequence[bytes]) -> bytes:
    """A number as a field of fixed length would have it."""
    at, form = _place(rng, data), rng.choice(_PACKED)
    size = struct.calcsize(form)
    return data[:at] + struct.pack(form, rng.choice(NUMBERS) & (1 << 8 * size) - 1) + data[at + size :]


def _decimal(rng: random.Random, data: bytes, corpus: Sequence[bytes]) -> bytes:
    """A number that is written in digits, as in texts and in the heads of arrays."""
    found = list(re.finditer(rb"\d+", data[: 1 << 14]))
    if not found:
        return data
    match = rng.choice(found)
    sign = rng.choice((b"", b"", b"-"))
    return data[: match.start()] + sign + str(rng.choice(NUMBERS)).encode() + data[match.end() :]


_CHANGES = (_flip, _flip, _set, _cut, _drop, _insert, _repeat, _splice, _number, _number, _decimal)
