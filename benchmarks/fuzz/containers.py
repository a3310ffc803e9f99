"""Changes inside of files that are sealed: checksums and lengths are made right again afterwards."""

from __future__ import annotations

import gzip
import io
import random
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Sequence

from .mutate import NUMBERS, changed, mutated

_PNG = b"\x89PNG\r\n\x1a\n"
_NAMES = (
    "../out",
    "/out",
    "a/../../out",
    "C:\\out",
    "a\\..\\..\\out",
    "a/b/c",
    "",
    ".",
    "a\0b",
    "x" * 300,
    "\u00e4",
)


def zipped(rng: random.Random, corpus: Sequence[bytes]) -> bytes:
    """A zip archive (.npz, .pth) with one member changed, renamed, left out or there twice."""
    if rng.random() < 0.3:
        return mutated(rng, corpus)
    try:
        with zipfile.ZipFile(io.BytesIO(rng.choice(corpus))) as source:
            names = source.namelist()
            contents = [source.read(name) for name in names]
    except zipfile.BadZipFile:  # a file of the corpus that is none
        return mutated(rng, corpus)
    at, kind = rng.randrange(len(names)), rng.random()
    if kind < 0.7:
        for _ in range(rng.choice((1, 1, 3))):
            contents[at] = changed(rng, contents[at])
    elif kind < 0.8:
        del names[at], contents[at]
    elif kind < 0.9:
        names[at] = rng.choice(_NAMES) or "empty"
    else:
        names.insert(0, names[at])
        contents.insert(0, contents[at])
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as made:
        for name, content in zip(names, contents):
            made.writestr(zipfile.ZipInfo(name), content)
    return target.getvalue()


def tarred(rng: random.Random, corpus: Sequence[bytes]) -> bytes:
    """An archive: zip as above; tar with the fields of a member changed, plain or compressed."""
    data = rng.choice(corpus)
    if data.startswith(b"PK"):
        return zipped(rng, [data])
    try:
        plain = gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data
        members = _members(plain)
    except (OSError, tarfile.TarError):
        return mutated(rng, corpus)
    if rng.random() < 0.3 or not members:
        plain = _header(rng, plain)
        return gzip.compress(plain, 1) if rng.random() < 0.5 else plain
    member, _ = rng.choice(members)
    kind = rng.randrange(5)
    if kind == 0:
        member.name = rng.choice(_NAMES)
    elif kind == 1:
        member.type = rng.choice(
            (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE)
        )
        member.linkname, member.size = rng.choice((*_NAMES, member.name)), 0
    elif kind == 2:
        member.pax_headers = {"size": str(rng.choice(NUMBERS)), "path": rng.choice(_NAMES)}
    elif kind == 3:
        member.size = rng.choice((0, 1, 511, 513, 1 << 33))
    else:
        members *= rng.choice((2, 20))
    return _tar(members, rng.choice(("w", "w:gz", "w:xz")))


def _members(plain: bytes) -> list[tuple[tarfile.TarInfo, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(plain)) as source:
        return [(m, f.read() if (f := source.extractfile(m)) else b"") for m in source]


def _tar(members: Sequence[tuple[tarfile.TarInfo, bytes]], mode: str) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode=mode, format=tarfile.PAX_FORMAT) as made:  # type: ignore[call-overload]
        for member, content in members:
            filled = io.BytesIO(content.ljust(min(member.size, 1 << 16), b"\0"))
            try:
                made.addfile(member, filled if member.size else None)
            except (OSError, ValueError):  # there is less than the size that is stated: just what is wanted
                break
    return target.getvalue()


def _header(rng: random.Random, plain: bytes) -> bytes:
    """A header of 512 bytes changed, and its checksum made right."""
    at = 512 * rng.randrange(max(len(plain) // 512, 1))
    head = bytearray(changed(rng, plain[at : at + 512]).ljust(512, b"\0")[:512])
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return plain[:at] + bytes(head) + plain[at + 512 :]


def picture(rng: random.Random, corpus: Sequence[bytes]) -> bytes:
    """An image; the chunks of a PNG with their checksums made right, its size too."""
    data = rng.choice(corpus)
    if not data.startswith(_PNG) or rng.random() < 0.3:
        return mutated(rng, [data, *corpus])
    chunks, at = [], 8
    while at + 12 <= len(data):
        (size,) = struct.unpack_from(">I", data, at)
        chunks.append([data[at + 4 : at + 8], data[at + 8 : at + 8 + size]])
        at += 12 + size
    chosen, kind = rng.choice(chunks), rng.random()
    if kind < 0.25:
        chunks[0][1] = (
            struct.pack(">II", *(rng.choice(NUMBERS) & 0xFFFFFFFF for _ in range(2))) + chunks[0][1][8:]
        )
    elif kind < 0.5 and chosen[0] == b"IDAT":
        chosen[1] = zlib.compress(changed(rng, zlib.decompress(chosen[1])))
    elif kind < 0.6:
        chunks.insert(rng.randrange(len(chunks)), list(chosen))
    elif kind < 0.7:
        text = zlib.compress(b"x" * rng.choice((10, 1 << 16, 1 << 22)))
        chunks.insert(1, [rng.choice((b"zTXt", b"iCCP")), b"name\0\0" + text])
    else:
        chosen[1] = changed(rng, chosen[1])
    return _PNG + b"".join(map(_chunk, chunks))


def _chunk(parts: Sequence[bytes]) -> bytes:
    name, content = parts
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def matlab(rng: random.Random, corpus: Sequence[bytes]) -> bytes:
    """A .mat file of version 5 with what is compressed in it changed."""
    data = rng.choice(corpus)
    kind, size = struct.unpack_from("<II", data.ljust(136, b"\0"), 128)
    if kind != 15 or rng.random() < 0.3:
        return mutated(rng, [data])
    inner = zlib.decompress(data[136 : 136 + size])
    for _ in range(rng.choice((1, 1, 3))):
        inner = changed(rng, inner)
    packed = zlib.compress(inner)
    return data[:128] + struct.pack("<II", 15, len(packed)) + packed + data[136 + size :]


def headed(rng: random.Random, corpus: Sequence[bytes]) -> bytes:
    """A safetensors file: the length of its head made right."""
    data = rng.choice(corpus)
    if rng.random() < 0.4:
        return mutated(rng, corpus)
    (size,) = struct.unpack_from("<Q", data)
    head = changed(rng, data[8 : 8 + size])
    return struct.pack("<Q", len(head)) + head + data[8 + size :]
