"""The file of an LMDB, read page by page (data format 1, that of LMDB 0.9 and of Caffe).

LMDB's library lets a process open a database once. A script that has one open, to write or to look at
it, must still be able to build a net on it, and the other way round; so what a net reads is read here,
without that library and without a lock.

A commit copies the pages that it changes and then renews one of two meta pages, in turns; it overwrites
only what was free two commits ago. Reading without a lock is therefore safe if one looks, after a record
is copied, whether its state is still one of the last two.

Source: LMDB's mdb.c (MDB_page, MDB_meta, MDB_node), on machines with 64-bit addresses.
"""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Iterator
from typing import NamedTuple

from ..errors import DataError

_MAGIC, _FORMAT = 0xBEEFC0DE, 1
_NO_PAGE = 2**64 - 1  # the root of an empty database
_BRANCH, _LEAF = 0x01, 0x02  # kinds of pages
_BIG, _NAMED = 0x01, 0x02  # flags of a node: the value is on pages of its own; the value is a database

_PAGE = struct.Struct("=8x2xHH2x")  # flags, end of the table of nodes
_META = struct.Struct("=II16xI48xH34xQ8xQ")  # magic, format, page size, flags, root, number of commits
_NODE = struct.Struct("=HHHH")  # low and high half of the value's size, flags, size of the key
_NUMBER = struct.Struct("=Q")
_COMMIT_AT = _PAGE.size + _META.size - _NUMBER.size  # in a meta page


class _State(NamedTuple):
    """A database as a commit left it."""

    commit: int
    root: int  # a page's number
    page_size: int


class _Overtaken(Exception):
    """The pages just read may have been overwritten by later commits."""


class LmdbFile:
    """The records in a `data.mdb`."""

    def __init__(self, path: str) -> None:
        """Raises DataError if the file cannot be opened, or is none that Caffe reads."""
        self._path = path
        self._turn = threading.Lock()
        try:
            self._file = open(path, "rb", buffering=0)  # noqa: SIM115  open until `close`
        except OSError as error:
            raise DataError(error.strerror) from error
        try:
            self._newest()
        except DataError:
            self._file.close()
            raise

    def close(self) -> None:
        """Let go of the file; reading on raises ValueError."""
        self._file.close()

    def items(self, start: bytes) -> Iterator[tuple[bytes, bytes]]:
        """(key, value) of the records in byte order of the keys, from the first not before `start`.

        If somebody writes meanwhile, what he adds behind the present record may come too.

        Raises:
            DataError: the file is damaged, or holds what Caffe does not read.
        """
        while True:
            try:
                for key, value in self._items_of(self._newest(), start):
                    yield key, value
                    start = key + b"\0"  # the least key after this one
                return
            except _Overtaken:
                continue

    def _items_of(self, state: _State, start: bytes) -> Iterator[tuple[bytes, bytes]]:
        records = self._walk(state, state.root, start)
        while True:
            record, damage = None, None
            try:
                record = next(records, None)
            except (struct.error, IndexError, OSError, OverflowError, RecursionError, DataError) as error:
                damage = error
            try:
                if self._commits(state) > state.commit + 1:
                    raise _Overtaken
            except IndexError as error:  # the size of a page leads out of the file
                damage = error
            if isinstance(damage, DataError):
                raise damage
            if damage is not None:
                raise DataError(f"'{self._path}' is damaged; make it anew") from damage
            if record is None:
                return
            yield record

    # ---- pages ---------------------------------------------------------------------------------

    def _newest(self) -> _State:
        try:
            first = self._meta(0)
            return max(first, self._meta(first.page_size))
        except IndexError as error:
            raise DataError("not an LMDB file: it is too short") from error

    def _commits(self, state: _State) -> int:
        """How many there were until now."""
        found = (self._read(page * state.page_size + _COMMIT_AT, _NUMBER.size) for page in (0, 1))
        return max(int(_NUMBER.unpack(raw)[0]) for raw in found)

    def _meta(self, begin: int) -> _State:
        raw, before = self._read(begin + _PAGE.size, _META.size), b""
        while raw != before:  # it may be written at this moment
            before, raw = raw, self._read(begin + _PAGE.size, _META.size)
        magic, form, page_size, flags, root, commit = _META.unpack(raw)
        if magic != _MAGIC:
            raise DataError("not an LMDB file")
        if form != _FORMAT:
            raise DataError(
                f"its data format is {form}, Caffe's is {_FORMAT}: copy it with mdb_dump of the LMDB that "
                "wrote it and mdb_load of LMDB 0.9"
            )
        if flags:
            raise DataError("its keys are integers, reversed or not unique: Caffe reads plain keys")
        return _State(commit, root, page_size)

    def _walk(self, state: _State, number: int, start: bytes) -> Iterator[tuple[bytes, bytes]]:
        """The records below page `number` whose keys are not before `start`."""
        if number == _NO_PAGE:
            return
        page = self._read(number * state.page_size, state.page_size)
        flags, end = _PAGE.unpack_from(page)
        nodes = struct.unpack_from(f"={(end - _PAGE.size) // 2}H", page, _PAGE.size)
        if flags & _LEAF:
            for at in nodes:
                key = _key(page, at)
                if key >= start:
                    yield key, self._value(state, page, at)
        elif flags & _BRANCH:
            # Below a node are the keys from its own (the first node's is empty) up to the next node's.
            for at, following in zip(nodes, (*nodes[1:], None)):
                if following is None or _key(page, following) > start:
                    low, high, top, _ = _NODE.unpack_from(page, at)
                    yield from self._walk(state, low | high << 16 | top << 32, start)
        else:
            raise IndexError(f"page {number} has flags {flags:#x}")

    def _value(self, state: _State, page: bytes, at: int) -> bytes:
        low, high, flags, key_size = _NODE.unpack_from(page, at)
        if flags & _NAMED:
            raise DataError(f"'{self._path}' holds named databases: Caffe reads the one without a name")
        size, begin = low | high << 16, at + _NODE.size + key_size
        if flags & _BIG:
            (number,) = _NUMBER.unpack_from(page, begin)
            return self._read(number * state.page_size + _PAGE.size, size)
        return _cut(page, begin, size)

    def _read(self, begin: int, size: int) -> bytes:
        # Not a map of the file: a page that is not in memory would stop every thread of the interpreter.
        if hasattr(os, "pread"):
            return _cut(os.pread(self._file.fileno(), size, begin), 0, size)
        with self._turn:  # Windows
            self._file.seek(begin)
            return _cut(self._file.read(size), 0, size)


def _key(page: bytes, at: int) -> bytes:
    _, _, _, size = _NODE.unpack_from(page, at)
    return _cut(page, at + _NODE.size, size)


def _cut(source: bytes, begin: int, size: int) -> bytes:
    """`size` bytes from `begin` on; IndexError if there are fewer."""
    found = source[begin : begin + size]
    if len(found) < size:
        raise IndexError(f"{size} bytes from {begin} on: there are {len(source)}")
    return found
