"""Databases: what a writer put in comes out in the order of the keys, and what goes wrong says so."""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caffe._caffe.data import db
from caffe._caffe.errors import DataError, MissingExtraError

LEVELDB = pytest.param(
    "leveldb", marks=pytest.mark.skipif(importlib.util.find_spec("plyvel") is None, reason="needs plyvel")
)
backends = pytest.mark.parametrize("backend", ["lmdb", LEVELDB])
records = st.dictionaries(st.binary(min_size=1, max_size=20), st.binary(max_size=50), max_size=30)


def write(path: Path | str, backend: str, items: dict[bytes, bytes]) -> str:
    with db.Writer(str(path), backend) as writer:
        for key, value in items.items():
            writer.put(key, value)
    return str(path)


@backends
@given(items=records)
@settings(max_examples=15)
def test_records_come_in_the_order_of_their_keys(backend, items) -> None:
    with tempfile.TemporaryDirectory() as folder:
        database = db.open_database(write(Path(folder, "set"), backend, items), backend)
        assert list(database.items()) == sorted(items.items())
        middle = sorted(items)[len(items) // 2] if items else b"a"
        assert list(database.items(middle)) == [item for item in sorted(items.items()) if item[0] >= middle]
        del database


@backends
def test_a_cursor_starts_over_at_the_end(tmp_path, backend) -> None:
    items = {b"%d" % i: b"v%d" % i for i in range(3)}
    cursor = db.Cursor(db.open_database(write(tmp_path / "set", backend, items), backend))
    found = []
    for _ in range(7):
        found.append((cursor.key, cursor.value))
        cursor.advance()
    assert found == list(itertools.islice(itertools.cycle(items.items()), 7))
    cursor.rewind(b"2")
    assert cursor.value == b"v2"
    assert cursor.describe() == f"record '2' of '{tmp_path / 'set'}'"


@backends
def test_two_readers_of_one_database(tmp_path, backend) -> None:
    path = write(tmp_path / "set", backend, {b"a": b"1", b"b": b"2"})
    first, second = (db.Cursor(db.open_database(path, backend.upper())) for _ in range(2))
    first.advance()
    assert (first.value, second.value) == (b"2", b"1")


@backends
def test_what_was_not_committed_is_not_there(tmp_path, backend) -> None:
    def stop_after_one_commit() -> None:
        with db.Writer(str(tmp_path / "set"), backend) as writer:
            writer.put("a", b"1")
            writer.commit()
            writer.put("b", b"2")
            raise KeyError("stop")

    with pytest.raises(KeyError):
        stop_after_one_commit()
    assert list(db.open_database(str(tmp_path / "set"), backend).items()) == [(b"a", b"1")]


def test_an_lmdb_grows_beyond_its_first_map(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(db, "_FIRST_MAP", 1 << 16)
    items = {b"%04d" % i: bytes([i % 256]) * 1000 for i in range(500)}
    path = write(tmp_path / "set", "lmdb", items)
    assert dict(db.open_database(path, "lmdb").items()) == items


@backends
def test_a_writer_wants_a_new_folder(tmp_path, backend) -> None:
    write(tmp_path / "set", backend, {b"a": b"1"})
    with pytest.raises(DataError, match="set': it exists already"):
        db.Writer(str(tmp_path / "set"), backend)
    with pytest.raises(DataError, match="cannot create database.*No such file"):
        db.Writer(str(tmp_path / "no" / "set"), backend)


def test_lmdb_keys_have_a_limit(tmp_path) -> None:
    write(tmp_path / "set", "lmdb", {b"x" * 511: b""})
    with pytest.raises(DataError, match="1 to 511 bytes, not 512"):
        write(tmp_path / "other", "lmdb", {b"x" * 512: b""})


@backends
def test_an_empty_database_is_refused(tmp_path, backend) -> None:
    path = write(tmp_path / "set", backend, {})
    with pytest.raises(DataError, match="has no records"):
        db.Cursor(db.open_database(path, backend))


@backends
def test_a_missing_database_is_named(in_tmp, backend) -> None:
    with pytest.raises(DataError, match=f"could not open {backend} 'nowhere'.*seen from '{in_tmp}'"):
        db.open_database("nowhere", backend)
    assert not (in_tmp / "nowhere").exists()


def test_a_database_of_the_other_kind_is_recognised(tmp_path) -> None:
    (tmp_path / "CURRENT").write_text("MANIFEST-000002\n")
    with pytest.raises(DataError, match="other kind: set backend: LEVELDB"):
        db.open_database(str(tmp_path), "lmdb")


def test_a_broken_lmdb_is_refused(tmp_path) -> None:
    (tmp_path / "data.mdb").write_bytes(b"garbage" * 2000)
    with pytest.raises(DataError, match="could not open lmdb.*not an LMDB file"):
        db.open_database(str(tmp_path), "lmdb")


def test_an_unknown_backend_is_refused() -> None:
    with pytest.raises(DataError, match="Unknown database backend 'bdb'"):
        db.open_database("set", "bdb")


@pytest.mark.parametrize(("backend", "package"), [("lmdb", "lmdb"), ("leveldb", "plyvel")])
def test_a_missing_package_is_named(monkeypatch, backend, package) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        MissingExtraError, match=rf"package '{package}'.*pip install 'caffe-fcn\[{backend}\]'"
    ):
        db.open_database("set", backend)


@backends
def test_a_handle_that_is_just_being_let_go_is_waited_for(tmp_path, backend) -> None:
    path = write(tmp_path / "set", backend, {b"a": b"1"})
    module = importlib.import_module("lmdb" if backend == "lmdb" else "plyvel")
    other = module.open(path, readonly=True, lock=False) if backend == "lmdb" else module.DB(path)
    threading.Timer(0.2, other.close).start()
    assert list(db.open_database(path, backend).items()) == [(b"a", b"1")]
