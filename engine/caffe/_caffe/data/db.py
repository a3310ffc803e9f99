"""Databases of records in key order: LMDB and LevelDB (Caffe's db::DB, Cursor and Transaction)."""

from __future__ import annotations

import importlib
import os
import threading
import time
import weakref
from collections.abc import Iterator
from typing import Any

from ..errors import DataError, MissingExtraError
from ..log import log

#: The names `data_param.backend` and the command-line tools know, and a file that every such database has.
_SIGNS = {"lmdb": "data.mdb", "leveldb": "CURRENT"}
_LEVELDB = {"block_size": 65536, "max_open_files": 100}
_FIRST_MAP = 1 << 26  # bytes; doubled whenever a commit does not fit
# A net that is gone may have left its database to a thread that is just ending: one second is ample.
_ATTEMPTS, _PAUSE = 50, 0.02


# ---- reading -------------------------------------------------------------------------------------


class Database:
    """A database open for reading; get it from `open_database`."""

    def __init__(self, path: str, backend: str) -> None:
        self.path, self._is_lmdb = path, backend == "lmdb"
        module = _package(backend, f"reading the {backend} '{path}'")
        if not os.path.exists(os.path.join(path, _SIGNS[backend])):  # LevelDB would make the folder
            raise DataError(f"could not open {backend} '{path}': {_missing(path, backend)}")
        for attempt in range(_ATTEMPTS):
            try:
                self._handle = self._open_with(module)
                break
            except (module.Error, OSError) as error:
                reason = _reason(error)
                held = "already" in reason or "LOCK" in reason
                if held and attempt < _ATTEMPTS - 1:
                    time.sleep(_PAUSE)
                    continue
                advice = "; close it wherever else it is open" if held else ""
                raise DataError(f"could not open {backend} '{path}': {reason}{advice}") from error
        log.info("Opened %s %s", backend, path)

    def _open_with(self, module: Any) -> Any:
        if self._is_lmdb:
            # Without locks a set on a read-only disk can be read too; nobody writes to it meanwhile.
            return module.open(self.path, readonly=True, lock=False, create=False)
        return module.DB(self.path, create_if_missing=False, **_LEVELDB)

    def items(self, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """(key, value) of the records in byte order of the keys, from the first not before `start`."""
        if not self._is_lmdb:
            with self._handle.iterator(start=start) as iterator:
                yield from iterator
            return
        with self._handle.begin() as transaction:
            cursor = transaction.cursor()
            if cursor.set_range(start):
                yield from cursor.iternext()


#: One handle per database and process: neither library lets a database be opened twice.
_open: weakref.WeakValueDictionary[tuple[int, int], Database] = weakref.WeakValueDictionary()
_opening = threading.Lock()


def open_database(path: str, backend: str) -> Database:
    """The database in the folder `path`, open for reading; shared by all that read it.

    Args:
        backend: ``lmdb`` or ``leveldb``, in upper or lower case.

    Raises:
        DataError: there is no such database, or somebody else holds it.
        MissingExtraError: the package that reads it is not installed.
    """
    backend = _known(backend)
    with _opening:
        found = _open.get(_identity(path, backend))
        if found is None:
            found = Database(path, backend)
            _open[_identity(path, backend)] = found
    return found


def _identity(path: str, backend: str) -> tuple[int, int]:
    """What stays the same while a database is open: the inode of a file that is not renewed meanwhile."""
    try:
        status = os.stat(os.path.join(path, "data.mdb" if backend == "lmdb" else "LOCK"))
    except OSError:
        return (0, 0)
    return status.st_dev, status.st_ino


class Cursor:
    """A place in a database, which starts over at the end."""

    def __init__(self, database: Database) -> None:
        """Raises DataError if there are no records."""
        self._database = database
        self.rewind()

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
