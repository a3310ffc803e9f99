"""Unpacking archives of strangers: files and folders only, all of them below one folder.

Tar, whether compressed or not, and zip are told by their content: archives circulate under wrong names. What
Python's own `data` filter for tar refuses is refused here for both, and in every version of Python. A link to
a file of the archive becomes a copy of it.
"""

from __future__ import annotations

import lzma
import os
import posixpath
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from ..npz import FREELY, RATIO
from ..outputs import written
from ..waiting import transfer
from .source import is_page
from .space import require_space

#: Files and folders in an archive.
MOST_ENTRIES = 1_000_000
#: Bytes of a name, letters of a path: beyond it Linux says no in the middle of the work.
LONGEST_NAME, LONGEST_PATH = 255, 1000

_CHUNK = 1 << 20
#: What a Mac leaves in archives.
_LITTER = re.compile(r"(^|/)(__MACOSX(/|$)|\._)")
_DAMAGED = (
    tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, NotImplementedError,
    RuntimeError, ValueError, OverflowError, LookupError, TypeError, struct.error,
)  # fmt: skip


class ArchiveError(ValueError):
    """An archive is damaged, is none, or holds what no data set needs."""


@dataclass(frozen=True)
class Entry:
    """A file or folder of an archive; `open` is None for a folder."""

    name: str
    size: int
    open: Callable[[], IO[bytes]] | None


def unpack(archive: Path, to: Path) -> None:
    """Unpack an archive into the folder `to`, which is made. All names are checked before a file is written.

    Raises:
        ArchiveError: it is damaged or none; or a name leads out of the folder, an entry is no file or folder,
            or all of them together are far larger than such an archive can be.
        NoSpace: the disk is too full.
    """
    with _opened(archive) as found:
        entries = _checked(archive, found)
        total = sum(entry.size for entry in entries)
        to.mkdir(parents=True, exist_ok=True)
        require_space(to, total)
        with transfer(f"unpacking {archive.name}", total) as bar:
            for entry in entries:
                _write(archive, entry, to)
                bar.update(entry.size)


def _checked(archive: Path, found: Iterator[Entry]) -> list[Entry]:
    """The entries of an archive; ArchiveError where they are too many, too large or in each other's way."""
    size = archive.stat().st_size
    entries: list[Entry] = []
    total = 0
    with _told(archive):
        for entry in found:
            entries.append(entry)
            total += entry.size
            if total > max(FREELY, RATIO * size) or len(entries) > MOST_ENTRIES:
                raise ArchiveError(
                    f"{archive}: {len(entries)} entries of {total} bytes and more are too much for an "
                    f"archive of {size} bytes; nothing was unpacked"
                )
    files = {entry.name for entry in entries if entry.open is not None}
    folders = {entry.name for entry in entries if entry.open is None}
    for entry in entries:
        folders.update(_above(entry.name))
    if both := files & folders:
        raise ArchiveError(f"{archive}: {min(both)!r} is a file and a folder; nothing was unpacked")
    return entries


def _above(name: str) -> Iterator[str]:
    """The folders that a file or folder of an archive lies in."""
    while name := posixpath.dirname(name):
        yield name


def _write(archive: Path, entry: Entry, to: Path) -> None:
    """Write a file, or make a folder."""
    path = to / entry.name
    if entry.open is None:
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with written(path), path.open("wb") as file:
        for chunk in _content(archive, entry.open):
            file.write(chunk)


def _content(archive: Path, begin: Callable[[], IO[bytes]]) -> Iterator[bytes]:
    """The bytes of an entry, piece by piece."""
    with _told(archive), begin() as file:
        while chunk := file.read(_CHUNK):
            yield chunk


@contextmanager
def _told(archive: Path) -> Iterator[None]:
    """What goes wrong in reading the archive, as ArchiveError."""
    try:
        yield
    except ArchiveError:
        raise
    except _DAMAGED as error:
        raise ArchiveError(f"{archive}: damaged or incomplete ({error})") from error


@contextmanager
def _opened(archive: Path) -> Iterator[Iterator[Entry]]:
    """The entries of an archive of either kind."""
    with archive.open("rb") as file:
        start = file.read(512)
    with ExitStack() as stack:
        try:
            if start.startswith(b"PK\3\4"):
                found = _of_zip(archive, stack.enter_context(zipfile.ZipFile(archive)))
            else:
                found = _of_tar(archive, stack.enter_context(tarfile.open(archive)))
        except _DAMAGED as error:
            what = "a web page" if is_page(start) else "another file, or a part of one"
            size = archive.stat().st_size
            raise ArchiveError(
                f"{archive}: expected a tar or zip archive, found {what} of {size} bytes"
            ) from error
        yield found


def _of_zip(archive: Path, zipped: zipfile.ZipFile) -> Iterator[Entry]:
    for info in zipped.infolist():
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise ArchiveError(f"{archive}: {info.filename!r} is a link or a device; nothing was unpacked")
        if name := _name(archive, info.filename):
            yield Entry(name, info.file_size, None if info.is_dir() else partial(zipped.open, info))


def _of_tar(archive: Path, tarred: tarfile.TarFile) -> Iterator[Entry]:
    files: dict[str, tarfile.TarInfo] = {}
    links: list[tuple[str, str, tarfile.TarInfo]] = []
    for member in tarred:
        name = _name(archive, member.name)
        if not name:
            continue
        if member.isreg():
            files[name] = member
            yield Entry(name, member.size, partial(_extract, tarred, member))
        elif member.isdir():
            yield Entry(name, 0, None)
        elif member.issym() or member.islnk():
            above = posixpath.dirname(name) if member.issym() else ""
            links.append((name, posixpath.normpath(posixpath.join(above, member.linkname)), member))
        else:
            raise ArchiveError(f"{archive}: {member.name!r} is a device or a pipe; nothing was unpacked")
    _require_end(archive, tarred)
    for name, target, member in links:
        if target not in files:
            raise ArchiveError(
                f"{archive}: {member.name!r} is a link to {member.linkname!r}, which is no file of the "
                "archive; nothing was unpacked"
            )
        yield Entry(name, files[target].size, partial(_extract, tarred, files[target]))


def _require_end(archive: Path, tarred: tarfile.TarFile) -> None:
    """ArchiveError where no block of zeros follows the last entry: `tarfile` takes any end for the end."""
    assert tarred.fileobj is not None
    tarred.fileobj.seek(tarred.offset)
    if tarred.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise ArchiveError(f"{archive}: damaged or incomplete (it ends in the middle)")


def _extract(tarred: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    """The content of a regular file."""
    content = tarred.extractfile(member)
    assert content is not None
    return content


def _name(archive: Path, given: str) -> str:
    """The path of an entry below the folder, '' for one to leave out; ArchiveError for one that leads out."""
    name = given.replace("\\", "/")
    if name.startswith("/") or re.match(r"[A-Za-z]:", name) or ".." in name.split("/") or "\0" in name:
        raise ArchiveError(f"{archive}: {given!r} leads out of the folder; nothing was unpacked")
    plain = posixpath.normpath(name)
    if len(plain) > LONGEST_PATH or max(len(os.fsencode(part)) for part in plain.split("/")) > LONGEST_NAME:
        raise ArchiveError(f"{archive}: a name of {len(plain)} letters is too long; nothing was unpacked")
    return "" if plain == "." or _LITTER.search(plain) else plain
