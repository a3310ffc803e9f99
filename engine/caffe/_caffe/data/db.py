"""Databases of records in key order: LMDB and LevelDB (Caffe's db::DB, Cursor and Transaction)."""

from __future__ import annotations

import importlib
import os
import threading
import weakref
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

from ..errors import DataError, MissingExtraError
from ..log import log
from .lmdb_file import LmdbFile

#: The names `data_param.backend` and the command-line tools know, and a file that every such database has.
_SIGNS = {"lmdb": "data.mdb", "leveldb": "CURRENT"}
_LEVELDB = {"block_size": 65536, "max_open_files": 100}
_FIRST_MAP = 1 << 26  # bytes; doubled whenever a commit does not fit


# ---- reading -------------------------------------------------------------------------------------


class Database(ABC):
    """A database open for reading; get it from `open_database`, and close it or use it in a `with`."""

    def __init__(self, path: str) -> None:
        self.path = path

    @abstractmethod
    def items(self, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """(key, value) of the records in byte order of the keys, from the first not before `start`."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the files; only then may the database be opened where its library allows it once."""

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class _Lmdb(Database):
    """An LMDB. Any number of these, and LMDB's own library too, may have one database open."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._file = LmdbFile(os.path.join(path, _SIGNS["lmdb"]))

    def items(self, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        return self._file.items(start)

    def close(self) -> None:
        self._file.close()


class _LevelDb(Database):
    """A LevelDB. Its library lets a database be opened once, so all that read it share what it opened."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._opened: _OpenedLevelDb | None = _shared_leveldb(path)

    def items(self, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        if self._opened is None:
            raise ValueError(f"leveldb '{self.path}' is closed")
        with self._opened.handle.iterator(start=start) as iterator:
            yield from iterator

    def close(self) -> None:
        self._opened = None


class _OpenedLevelDb:
    """What plyvel opened; it is closed when the last of its readers lets it go."""

    def __init__(self, path: str) -> None:
        module = _package("leveldb", f"reading the leveldb '{path}'")
        try:
            self.handle = module.DB(path, create_if_missing=False, **_LEVELDB)
        except (module.Error, OSError) as error:
            raise DataError(
                f"{_reason(error)} (LevelDB lets a database be open in one place only)"
            ) from error


_leveldbs: weakref.WeakValueDictionary[tuple[int, int], _OpenedLevelDb] = weakref.WeakValueDictionary()
_opening = threading.Lock()


def _shared_leveldb(path: str) -> _OpenedLevelDb:
    with _opening:
        found = _leveldbs.get(_lock_file(path))
        if found is None:
            found = _OpenedLevelDb(path)
            _leveldbs[_lock_file(path)] = found
    return found


def _lock_file(path: str) -> tuple[int, int]:
    """The inode of the file that LevelDB keeps open; (0, 0) if nobody has opened the database so far."""
    try:
        status = os.stat(os.path.join(path, "LOCK"))
    except OSError:
        return (0, 0)
    return status.st_dev, status.st_ino


def open_database(path: str, backend: str) -> Database:
    """The database in the folder `path`, open for reading.

    Args:
        backend: `lmdb` or `leveldb`, in upper or lower case.

    Raises:
        DataError: there is no such database, or it is a LevelDB that somebody else has open.
        MissingExtraError: the package that reads a LevelDB is not installed.
    """
    backend = _known(backend)
    if not os.path.exists(os.path.join(path, _SIGNS[backend])):  # LevelDB would make the folder
        raise DataError(f"could not open {backend} '{path}': {_missing(path, backend)}")
    try:
        database = _Lmdb(path) if backend == "lmdb" else _LevelDb(path)
    except DataError as error:
        raise DataError(f"could not open {backend} '{path}': {error}") from error
    log.info("Opened %s %s", backend, path)
    return database


class Cursor:
    """A place in a database, which starts over at the end."""

    def __init__(self, database: Database) -> None:
        """Takes over the database. Raises DataError if there are no records, and has closed it then."""
        self._database = database
        try:
            self.rewind()
        except DataError:
            self.close()
            raise

    def close(self) -> None:
        """Close the database."""
        self._items: Iterator[tuple[bytes, bytes]] = iter(())
        self._database.close()

    def rewind(self, start: bytes = b"") -> None:
        """Go to the first record whose key is not before `start`.

        Raises:
            DataError: there is none.
        """
        self._items = self._database.items(start)
        try:
            self.key, self.value = next(self._items)
        except StopIteration:
            kind = f"no record from key {start!r} on" if start else "no records"
            raise DataError(f"database '{self._database.path}' has {kind}") from None

    def advance(self) -> bool:
        """Go to the next record; after the last one comes the first. Returns whether it started over."""
        record = next(self._items, None)
        if record is None:
            self.rewind()
        else:
            self.key, self.value = record
        return record is None

    def describe(self) -> str:
        """The record's name for messages."""
        return f"record {self.key.decode(errors='backslashreplace')!r} of '{self._database.path}'"


# ---- writing -------------------------------------------------------------------------------------


class Writer:
    """A new database. Records are kept until `commit`; leaving the `with` block commits and closes.

        with Writer("train_lmdb", "lmdb") as database:
            database.put("00000000_a.jpg", datum.SerializeToString())

    A key that comes again replaces its record. After an exception the block leaves what was committed.
    """

    def __init__(self, path: str, backend: str) -> None:
        """Raises DataError if `path` exists or cannot be made, MissingExtraError without the package."""
        self.path, backend = path, _known(backend)
        self._module = _package(backend, f"writing the {backend} '{path}'")
        self._is_lmdb = backend == "lmdb"
        self._records: list[tuple[bytes, bytes]] = []
        try:
            os.mkdir(path)
            if self._is_lmdb:
                self._handle = self._module.open(path, map_size=_FIRST_MAP)
            else:
                self._handle = self._module.DB(path, create_if_missing=True, **_LEVELDB)
        except FileExistsError as error:
            raise DataError(f"cannot create database '{path}': it exists already") from error
        except (self._module.Error, OSError) as error:
            raise DataError(f"cannot create database '{path}': {_reason(error)}") from error
        log.info("Opened %s %s", backend, path)

    def put(self, key: str | bytes, value: bytes) -> None:
        """Add a record."""
        self._records.append((key.encode() if isinstance(key, str) else key, value))

    def commit(self) -> None:
        """Write the records added since the last commit, all or none of them.

        Raises:
            DataError: a key is too long (LMDB: 511 bytes), or the disk is full.
        """
        try:
            if self._is_lmdb:
                self._commit_lmdb()
            else:
                with self._handle.write_batch() as batch:
                    for record in self._records:
                        batch.put(*record)
        except (self._module.Error, OSError) as error:
            raise DataError(f"cannot write to database '{self.path}': {_reason(error)}") from error
        self._records = []

    def _commit_lmdb(self) -> None:
        limit = self._handle.max_key_size()
        for key, _ in self._records:
            if not 0 < len(key) <= limit:
                raise DataError(
                    f"cannot write to database '{self.path}': LMDB keys have 1 to {limit} bytes, "
                    f"not {len(key)}: {key[:60]!r}"
                )
        while True:
            try:
                with self._handle.begin(write=True) as transaction:
                    for record in self._records:
                        transaction.put(*record)
                return
            except self._module.MapFullError:
                self._handle.set_mapsize(2 * self._handle.info()["map_size"])

    def close(self) -> None:
        """Close the database; records that were not committed are dropped."""
        self._handle.close()

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        try:
            if error is None:
                self.commit()
        finally:
            self.close()


# ---- both ----------------------------------------------------------------------------------------


def _known(backend: str) -> str:
    if backend.lower() not in _SIGNS:
        raise DataError(f"Unknown database backend '{backend}': lmdb or leveldb")
    return backend.lower()


def _package(backend: str, purpose: str) -> Any:
    package = {"lmdb": "lmdb", "leveldb": "plyvel"}[backend]
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise MissingExtraError(package, backend, purpose) from error


def _reason(error: Exception) -> str:
    text = error.args[-1] if error.args else error
    return text.decode(errors="replace") if isinstance(text, bytes) else str(text)


def _missing(path: str, backend: str) -> str:
    """Why there is no such database at `path`."""
    if not os.path.exists(path):
        return f"No such file or directory, as seen from '{os.getcwd()}'"
    if not os.path.isdir(path):
        return "it is a file; a database is named by its folder"
    other = {"lmdb": "leveldb", "leveldb": "lmdb"}[backend]
    if os.path.exists(os.path.join(path, _SIGNS[other])):
        return f"it is a database of the other kind: set backend: {other.upper()}"
    return f"the folder holds no {_SIGNS[backend]}"
