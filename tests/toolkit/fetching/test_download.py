"""Files come whole and right, from the first server that has them, or not at all."""

from __future__ import annotations

import hashlib
import random
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from fcn.fetching import FetchError, Source, fetch
from tests.toolkit.fetching.conftest import Server

BODY = random.Random(0).randbytes(1 << 20)
MD5 = f"md5:{hashlib.md5(BODY).hexdigest()}"
PAGE = b"\n<!DOCTYPE html><html><body>This page has moved</body></html>"


def source(*urls: str, **more: object) -> Source:
    return Source("a file", urls, "file.tar", **more)  # type: ignore[arg-type]


def test_a_file_comes_whole_and_once(server: Server, tmp_path: Path) -> None:
    wanted = source(
        server.has("/file.tar", BODY), digests=("md5:0", f"sha256:{hashlib.sha256(BODY).hexdigest()}")
    )
    path = fetch(wanted, tmp_path / "new")
    assert path == tmp_path / "new/file.tar" and path.read_bytes() == BODY
    assert [p.name for p in path.parent.iterdir()] == ["file.tar"]
    assert fetch(wanted, tmp_path / "new") == path == fetch(wanted, tmp_path / "new", offline=True)
    assert len(server.asked) == 1


def test_a_redirect_is_followed(server: Server, tmp_path: Path) -> None:
    there = server.has("/there", BODY)
    assert fetch(source(server.has("/file.tar", to=there), size=len(BODY)), tmp_path).read_bytes() == BODY


def test_servers_are_asked_in_order_mirrors_first(server: Server, tmp_path: Path) -> None:
    good = server.has("/good", BODY)
    gone = f"{server.url}/gone"
    assert fetch(source(gone, good, digests=(MD5,)), tmp_path, mirrors=[f"{server.url}/folder/"])
    assert [path for path, _ in server.asked] == ["/folder/file.tar", "/gone", "/good"]


@pytest.mark.parametrize(
    ("how", "more", "told"),
    [
        ({"status": 503}, {}, "HTTP 503"),
        ({"body": PAGE}, {}, f"a web page of {len(PAGE)} bytes, not file.tar"),
        ({"body": b"moved", "kind": "text/html; charset=utf-8"}, {}, "a web page of 5 bytes"),
        ({"body": PAGE, "length": False}, {"digests": (MD5,)}, f"a web page of {len(PAGE)} bytes"),
        ({"body": BODY[:-1]}, {"size": len(BODY)}, f"{len(BODY) - 1} bytes, expected {len(BODY)} bytes"),
        ({"body": BODY[:-1], "length": False}, {"size": len(BODY)}, f"{len(BODY) - 1} bytes, expected"),
        ({"body": BODY[:-1] + b"!"}, {"digests": (MD5,)}, f"expected {MD5}"),
        ({"body": BODY, "stop_after": 9, "stops": 99, "ranges": False}, {}, f"after 9 of {len(BODY)} bytes"),
        ({"body": BODY, "stop_after": 9, "stops": 99, "stall": 1, "ranges": False}, {}, "no answer for 0.5"),
    ],
    ids=["error", "page", "called a page", "page of no length", "short", "short of no length", "other",
         "cut off", "silent"],
)  # fmt: skip
def test_what_is_not_the_file_is_refused(
    how: dict, more: dict, told: str, server: Server, tmp_path: Path
) -> None:
    bad = source(server.has("/bad", **how), **more)
    with pytest.raises(FetchError) as refused:
        fetch(bad, tmp_path)
    assert told in str(refused.value) and "/bad: " in str(refused.value)
    assert not (tmp_path / "file.tar").exists()
    good = source(*bad.urls, server.has("/good", BODY), **more)
    assert fetch(good, tmp_path).read_bytes() == BODY


def test_a_server_that_is_not_there_is_told(server: Server, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match=r"127.0.0.1:1/x: .*refused"):
        fetch(source("http://127.0.0.1:1/x"), tmp_path)


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("stall", [0.0, 1.0])
def test_a_connection_that_breaks_is_taken_up_again(
    ranges: bool, stall: float, server: Server, tmp_path: Path
) -> None:
    url = server.has("/file.tar", BODY, stop_after=300_000, ranges=ranges, stall=stall)
    assert fetch(source(url), tmp_path).read_bytes() == BODY
    assert [asked for _, asked in server.asked] == [None, "bytes=300000-"]


@pytest.mark.parametrize("come", [1, 700_000, len(BODY)])
def test_a_later_call_goes_on_with_what_has_come(come: int, server: Server, tmp_path: Path) -> None:
    url = server.has("/file.tar", BODY, stop_after=come, stops=99, ranges=False)
    wanted = source(url, digests=(MD5,))
    if come < len(BODY):
        with pytest.raises(FetchError):
            fetch(wanted, tmp_path)
    else:  # stopped between the last byte and the file's new name
        (tmp_path / "file.tar.part").write_bytes(BODY)
    server.has("/file.tar", BODY)
    server.asked.clear()
    assert fetch(wanted, tmp_path).read_bytes() == BODY
    assert server.asked == [("/file.tar", f"bytes={come}-")]


def test_parts_of_two_versions_are_not_put_together(server: Server, tmp_path: Path) -> None:
    url = server.has("/file.tar", b"old" * 100_000, stop_after=200_000, stops=99, ranges=False)
    with pytest.raises(FetchError):
        fetch(source(url), tmp_path)
    server.has("/file.tar", BODY, etag='"2"')
    assert fetch(source(url), tmp_path).read_bytes() == BODY


def test_a_part_from_another_server_counts_only_if_the_whole_can_be_checked(
    server: Server, tmp_path: Path
) -> None:
    first = server.has("/first", b"other form" * 99_999, stop_after=500_000, stops=99, ranges=False)
    second = server.has("/second", BODY)
    for more in ({}, {"digests": (MD5,)}):
        server.asked.clear()
        assert fetch(source(first, second, **more), tmp_path).read_bytes() == BODY
        ranges = [asked for path, asked in server.asked if path == "/second"]
        assert ranges == (["bytes=500000-", None] if more else [None])
        (tmp_path / "file.tar").unlink()


def test_a_part_longer_than_the_file_is_dropped(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.tar.part").write_bytes(BODY + b"more")
    assert fetch(source(server.has("/file.tar", BODY), digests=(MD5,)), tmp_path).read_bytes() == BODY


def test_offline_nobody_is_asked(server: Server, tmp_path: Path) -> None:
    wanted = source(server.has("/file.tar", BODY), size=1_234_567, digests=(MD5,))
    with pytest.raises(FileNotFoundError) as missing:
        fetch(wanted, tmp_path, offline=True)
    assert all(text in str(missing.value) for text in (str(tmp_path / "file.tar"), "1234567 bytes", MD5))
    assert server.asked == []


def test_a_file_that_is_there_and_is_another_stays(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.tar").write_text("mine")
    with pytest.raises(FetchError, match="4 bytes"):
        fetch(source(server.has("/file.tar", BODY), digests=(MD5,)), tmp_path)
    assert (tmp_path / "file.tar").read_text() == "mine"


def test_a_full_disk_is_told_before_anything_is_written(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(FetchError, match=r"1.0 MB more are needed, and 1.0 kB are free"):
        fetch(source(server.has("/file.tar", BODY)), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mirror", ["file:///etc/passwd", "ftp://127.0.0.1/x", "127.0.0.1/x"])
def test_a_mirror_is_an_address_of_the_web(mirror: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="http"):
        fetch(source(), tmp_path, [mirror])
