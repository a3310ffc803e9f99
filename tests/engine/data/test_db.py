"""Databases: what a writer put in comes out in the order of the keys, and what goes wrong says so."""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import mmap
import os
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from random import Random

import lmdb
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


def read(path: Path | str, backend: str) -> list[tuple[bytes, bytes]]:
    with db.open_database(str(path), backend) as database:
        return list(database.items())


@backends
@given(items=records)
@settings(max_examples=15)
def test_records_come_in_the_order_of_their_keys(backend, items) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder, "set"), backend, items)
        middle = sorted(items)[len(items) // 2] if items else b"a"
        with db.open_database(path, backend) as database:
            assert list(database.items()) == sorted(items.items())
            assert list(database.items(middle)) == [
                item for item in sorted(items.items()) if item[0] >= middle
            ]


@backends
def test_a_cursor_starts_over_at_the_end(tmp_path, backend) -> None:
    items = {b"%d" % i: b"v%d" % i for i in range(3)}
    with closing(db.Cursor(db.open_database(write(tmp_path / "set", backend, items), backend))) as cursor:
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
    first.close()
    assert (second.advance(), second.value) == (False, b"2")
    second.close()


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
    assert read(tmp_path / "set", backend) == [(b"a", b"1")]


def test_an_lmdb_grows_beyond_its_first_map(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(db, "_FIRST_MAP", 1 << 16)
    items = {b"%04d" % i: bytes([i % 256]) * 1000 for i in range(500)}
    path = write(tmp_path / "set", "lmdb", items)
    assert dict(read(path, "lmdb")) == items


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


def test_a_missing_package_is_named(tmp_path, monkeypatch) -> None:
    (tmp_path / "CURRENT").touch()
    for package, backend, use in (
        ("plyvel", "leveldb", lambda: db.open_database(str(tmp_path), "leveldb")),
        ("plyvel", "leveldb", lambda: db.Writer("new", "leveldb")),
        ("lmdb", "lmdb", lambda: db.Writer("new", "lmdb")),
    ):
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(MissingExtraError, match=rf"'{package}'.*pip install 'caffe-fcn\[{backend}\]'"):
            use()


def test_a_closed_leveldb_may_be_opened_by_others_and_an_open_one_not(tmp_path) -> None:
    plyvel = pytest.importorskip("plyvel")
    path = write(tmp_path / "set", "leveldb", {b"a": b"1", b"b": b"2"})
    first, second = (db.Cursor(db.open_database(path, "leveldb")) for _ in range(2))
    first.close()
    with pytest.raises(plyvel.IOError):
        plyvel.DB(path)
    second.close()
    with closing(plyvel.DB(path)), pytest.raises(DataError, match="could not open leveldb.*one place only"):
        db.open_database(path, "leveldb")
    assert read(path, "leveldb") == [(b"a", b"1"), (b"b", b"2")]


# ---- LMDB, page by page --------------------------------------------------------------------------


def test_an_lmdb_of_all_sizes_and_depths(tmp_path) -> None:
    random = Random(0)
    sizes = [0, 1, 100, 1500, 2100, 4080, 5000, 70_000]
    items = {random.randbytes(random.choice([4, 40, 511])): bytes(random.choice(sizes)) for _ in range(3000)}
    path = write(tmp_path / "set", "lmdb", items)
    with lmdb.open(path, readonly=True) as theirs, theirs.begin() as transaction:
        assert theirs.stat()["depth"] >= 3
        expected = list(transaction.cursor())
    assert read(path, "lmdb") == expected == sorted(items.items())
    keys = sorted(items)
    with db.open_database(path, "lmdb") as database:
        for place in random.sample(range(len(keys)), 50):
            assert next(database.items(keys[place]))[0] == keys[place]
            assert next(database.items(keys[place - 1] + b"\0"))[0] == keys[place % len(keys)]


def test_an_lmdb_is_open_here_and_with_its_own_library_at_once(tmp_path) -> None:
    path = str(tmp_path / "set")
    with lmdb.open(path) as theirs:
        with theirs.begin(write=True) as transaction:
            transaction.put(b"a", b"1")
        with db.open_database(path, "lmdb") as ours:
            assert list(ours.items()) == [(b"a", b"1")]
    with db.open_database(path, "lmdb") as ours, lmdb.open(path) as theirs:
        with theirs.begin(write=True) as transaction:
            transaction.put(b"b", b"2")
        assert list(ours.items()) == [(b"a", b"1"), (b"b", b"2")]


def test_an_lmdb_that_is_written_while_it_is_read(tmp_path) -> None:
    """Every record is its name again and again, so that one in the place of another is seen."""
    path, names = str(tmp_path / "set"), [b"%03d" % i for i in range(40)]
    with lmdb.open(path, map_size=1 << 26) as theirs, contextlib.ExitStack() as stack:

        def write_all(size: int) -> None:
            for name in names:
                with theirs.begin(write=True) as transaction:
                    transaction.put(name, name * size)

        write_all(3000)
        ours = stack.enter_context(db.open_database(path, "lmdb"))
        for size in range(3000, 3020):
            found = []
            for place, (name, value) in enumerate(ours.items()):
                found.append(name)
                assert value in (name * size, name * (size + 1))
                if place == 10:
                    write_all(size + 1)
            assert found == names


@pytest.mark.parametrize("size", [0, 20, 4096, 5000, 3 * 4096])
def test_an_lmdb_that_is_cut_short_is_refused(tmp_path, size) -> None:
    path = write(tmp_path / "set", "lmdb", {b"%04d" % i: bytes(5000) for i in range(100)})
    os.truncate(f"{path}/data.mdb", size)
    with pytest.raises(DataError, match="not an LMDB file|is damaged"):
        read(path, "lmdb")


def test_an_lmdb_with_a_page_of_rubbish_is_read_or_refused(tmp_path) -> None:
    path = write(tmp_path / "set", "lmdb", {b"%04d" % i: bytes(1000) for i in range(1000)})
    whole = Path(path, "data.mdb").read_bytes()
    random = Random(0)
    for _ in range(30):
        begin = random.randrange(2, len(whole) // 4096) * 4096
        spoilt = whole[:begin] + random.randbytes(4096) + whole[begin + 4096 :]
        Path(path, "data.mdb").write_bytes(spoilt)
        with contextlib.suppress(DataError):
            read(path, "lmdb")


def test_an_lmdb_with_keys_of_another_kind_is_refused(tmp_path) -> None:
    path = write(tmp_path / "set", "lmdb", {b"a": b"1"})
    with open(f"{path}/data.mdb", "r+b") as file:
        for page in (0, 1):
            file.seek(page * mmap.PAGESIZE + 16 + 76)  # the flags of the second MDB_db in MDB_meta
            file.write((0x04).to_bytes(2, sys.byteorder))  # MDB_DUPSORT
    with pytest.raises(DataError, match="could not open lmdb.*plain keys"):
        db.open_database(path, "lmdb")


def test_an_lmdb_with_named_databases_is_refused(tmp_path) -> None:
    path = str(tmp_path / "set")
    with lmdb.open(path, max_dbs=1) as theirs:
        theirs.open_db(b"train")
    with pytest.raises(DataError, match="holds named databases"):
        read(path, "lmdb")


def test_an_lmdb_of_another_format_is_refused(tmp_path) -> None:
    path = write(tmp_path / "set", "lmdb", {b"a": b"1"})
    with open(f"{path}/data.mdb", "r+b") as file:
        file.seek(20)
        file.write((3).to_bytes(4, sys.byteorder))
    with pytest.raises(DataError, match="could not open lmdb.*its data format is 3.*mdb_dump"):
        db.open_database(path, "lmdb")
