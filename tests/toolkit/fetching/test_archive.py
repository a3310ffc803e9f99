"""Archives are unpacked whole, below one folder, and nothing that leads out of it is written."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcn.fetching import ArchiveError, FetchError, archive, unpack

FILES = {"set/a.txt": b"a" * 3000, "set/deep/b.bin": bytes(range(256)) * 40, "set/empty": b""}


def tarred(path: Path, files: dict[str, bytes], mode: str = "w", *more: tarfile.TarInfo) -> Path:
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, body in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(body)
            tar.addfile(info, io.BytesIO(body))
        for info in more:
            tar.addfile(info)
    return path


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, body in files.items():
            file.writestr(name, body)
    return path


def member(name: str, kind: bytes, to: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, to
    return info


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz", "zip"])
def test_every_kind_is_told_by_its_content(mode: str, tmp_path: Path) -> None:
    path = tmp_path / "benchmark.tgz"  # under whatever name
    zipped(path, FILES) if mode == "zip" else tarred(path, FILES, mode)
    unpack(path, tmp_path / "out")
    assert content(tmp_path / "out") == FILES


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/tmp/evil", "C:\\evil", "..\\evil", "a/.."])
@pytest.mark.parametrize("make", [tarred, zipped])
def test_a_name_that_leads_out_is_refused_before_anything_is_written(
    make: type, name: str, tmp_path: Path
) -> None:
    path = make(tmp_path / "x", {**FILES, name: b"evil"})
    with pytest.raises(ArchiveError, match="leads out"):
        unpack(path, tmp_path / "in/out")
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["x"]


@pytest.mark.parametrize(
    ("info", "told"),
    [
        (member("set/link", tarfile.SYMTYPE, "/etc/passwd"), "link to '/etc/passwd'"),
        (member("set/link", tarfile.SYMTYPE, "../../x"), "link to"),
        (member("set/link", tarfile.SYMTYPE, "deep"), "link to"),  # a folder
        (member("set/link", tarfile.SYMTYPE, "link"), "link to"),  # itself
        (member("set/link", tarfile.LNKTYPE, "../x"), "link to"),
        (member("set/pipe", tarfile.FIFOTYPE), "device or a pipe"),
        (member("set/disk", tarfile.BLKTYPE), "device or a pipe"),
    ],
)
def test_links_out_and_devices_are_refused(info: tarfile.TarInfo, told: str, tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match=told):
        unpack(tarred(tmp_path / "x.tar", FILES, "w", info), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as file:
        info = zipfile.ZipInfo("link")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        file.writestr(info, "/etc/passwd")
    with pytest.raises(ArchiveError, match="link"):
        unpack(tmp_path / "x.zip", tmp_path / "out")


@pytest.mark.parametrize(
    ("kind", "to"), [(tarfile.SYMTYPE, "deep/b.bin"), (tarfile.LNKTYPE, "set/deep/b.bin")]
)
def test_a_link_to_a_file_of_the_archive_becomes_a_copy(kind: bytes, to: str, tmp_path: Path) -> None:
    unpack(tarred(tmp_path / "x", FILES, "w:gz", member("set/link", kind, to)), tmp_path / "out")
    assert content(tmp_path / "out") == {**FILES, "set/link": FILES["set/deep/b.bin"]}
    assert not (tmp_path / "out/set/link").is_symlink()


@pytest.mark.parametrize("make", [tarred, zipped])
def test_an_archive_that_grows_without_measure_is_refused(
    make: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "FREELY", 100_000)
    bomb = {"zeros": bytes(5_000_000)}
    path = tarred(tmp_path / "x", bomb, "w:gz") if make is tarred else zipped(tmp_path / "x", bomb)
    with pytest.raises(ArchiveError, match="5000000 bytes"):
        unpack(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    unpack(make(tmp_path / "y", {f"{i}": b"" for i in range(50)}), tmp_path / "out")
    monkeypatch.setattr(archive, "MOST_ENTRIES", 49)
    with pytest.raises(ArchiveError, match="50 entries"):
        unpack(tmp_path / "y", tmp_path / "out")


def test_more_than_the_disk_holds_is_refused(tmp_path: Path) -> None:
    huge = tarfile.TarInfo("huge")
    huge.size = 1 << 60
    (tmp_path / "x.tar").write_bytes(huge.tobuf() + bytes(10240))
    with pytest.raises((FetchError, ArchiveError)):
        unpack(tmp_path / "x.tar", tmp_path / "out")


def test_a_file_that_is_no_archive_is_told(tmp_path: Path) -> None:
    for body in (b"", b"no archive", b"\x1f\x8b but no gzip", b"PK\3\4 but no zip"):
        (tmp_path / "x.tgz").write_bytes(body)
        with pytest.raises(ArchiveError, match=r"x\.tgz"):
            unpack(tmp_path / "x.tgz", tmp_path / "out")


def test_litter_of_a_mac_is_left_out(tmp_path: Path) -> None:
    unpack(
        zipped(tmp_path / "x", {**FILES, "__MACOSX/set/._a.txt": b"", "set/._a.txt": b""}), tmp_path / "out"
    )
    assert content(tmp_path / "out") == FILES


KINDS = ("w", "w:gz", "w:xz", "zip")


@given(kind=st.sampled_from(KINDS), at=st.floats(0, 1), flip=st.booleans())
def test_a_damaged_archive_is_told_or_unpacked_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, kind: str, at: float, flip: bool
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    path = zipped(folder / "x", FILES) if kind == "zip" else tarred(folder / "x", FILES, kind)
    body = bytearray(path.read_bytes())
    place = min(int(at * len(body)), len(body) - 1)
    if flip:
        body[place] ^= 0xFF
    path.write_bytes(body if flip else body[:place])
    try:
        unpack(path, folder / "in/out")
    except (ArchiveError, FetchError):
        pass
    assert {p.name for p in folder.iterdir()} <= {"x", "in"}
