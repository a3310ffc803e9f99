"""The folder that an import makes: ids, splits, and that it is whole or not there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fcn.data.importing.naming import ids_of
from tests.source_tree import ROOT
from tests.toolkit.data.importing import raw
from tests.toolkit.data.importing.test_forms import contents
from tests.toolkit.data.importing.test_values import Import
from voc_layers import VocFolder
from voc_layers.reading import read_split


def test_nothing_that_no_import_wrote_is_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raw.flat(tmp_path / "raw")
    done = Import(tmp_path / "raw")
    before = contents(done.out)
    assert Import(tmp_path / "raw", "--seed", "5").status == 1
    assert "--force" in capsys.readouterr().err and contents(done.out) == before
    assert Import(tmp_path / "raw", "--seed", "5", "--force").status == 0
    mine = done.out / "JPEGImages/mine.jpg"
    mine.write_bytes(b"mine")
    before = contents(done.out)
    assert Import(tmp_path / "raw", "--force").status == 1
    assert "mine.jpg" in capsys.readouterr().err and contents(done.out) == before


def test_a_force_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    raw.flat(tmp_path / "raw")
    done = Import(tmp_path / "raw")
    before = contents(done.out)
    (tmp_path / "raw/masks/im3.png").write_bytes(b"")
    assert Import(tmp_path / "raw", "--force").status == 1
    assert contents(done.out) == before and sorted(p.name for p in tmp_path.iterdir()) == ["out", "raw"]


def test_what_was_there_is_put_back_after_a_kill_between_two_renames(tmp_path: Path) -> None:
    raw.flat(tmp_path / "raw")
    done = Import(tmp_path / "raw")
    before = contents(done.out)
    done.out.rename(tmp_path / ".out.before")
    assert Import(tmp_path / "raw").status == 1
    assert contents(done.out) == before and not (tmp_path / ".out.before").exists()


@pytest.mark.parametrize("out", ["raw", "raw/new", "."])
def test_the_source_is_never_written_into(out: str, tmp_path: Path) -> None:
    from fcn.commands import data as data_command

    raw.flat(tmp_path / "raw")
    before = contents(tmp_path)
    assert data_command.main(["import", str(tmp_path / "raw"), "-o", str(tmp_path / out), "--force"]) == 1
    assert contents(tmp_path) == before


def heed_sigint() -> None:
    """What a shell starts in the background ignores it, and so would the import."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_import_leaves_nothing(number: int, tmp_path: Path) -> None:
    """One label is a pipe: the import reads it to learn what values mean, and waits for it when it writes."""
    raw.matlab_arrays(tmp_path / "raw")
    pipe = tmp_path / "raw/gt/im5.mat"
    label = pipe.read_bytes()
    pipe.unlink()
    os.mkfifo(pipe)
    command = [sys.executable, "-m", "fcn", "data", "import", "raw", "-o", "out"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    working = subprocess.Popen(
        command, cwd=tmp_path, env=env, stderr=subprocess.PIPE, text=True, preexec_fn=heed_sigint
    )
    try:
        pipe.write_bytes(label)
        while not list(tmp_path.glob(".out*/JPEGImages")):
            assert working.poll() is None
            time.sleep(0.01)
        with pipe.open("wb"):
            working.send_signal(number)
        said = working.communicate()[1]
    finally:
        working.kill()
        working.wait()
    assert working.returncode == 128 + number and "Traceback" not in said
    assert sorted(p.name for p in tmp_path.iterdir()) == ["raw"]


# -- splits -------------------------------------------------------------------------------------------


def numbered(root: Path, count: int) -> Path:
    """Scenes of four pairs each: images/<scene>/<scene>_<i>.png."""
    for i in range(count):
        for part in ("images", "masks"):
            path = root / part / f"s{i // 4}" / f"s{i // 4}_{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((6, 8), i % 3, np.uint8)).save(path)
    return root


def splits(folder: VocFolder) -> tuple[list[str], list[str]]:
    return folder.ids("train"), folder.ids("val")


def test_the_split_follows_its_seed_and_share(tmp_path: Path) -> None:
    root = numbered(tmp_path / "raw", 20)
    first = splits(Import(root).folder)
    assert splits(Import(root, "--force").folder) == first
    assert splits(Import(root, "--force", "--seed", "1").folder) != first
    assert len(first[1]) == 4 and not set(first[0]) & set(first[1])
    assert len(splits(Import(root, "--force", "--val", "0.5").folder)[1]) == 10


@pytest.mark.parametrize("by", ["folder", r"s(\d+)_"])
def test_groups_stay_on_one_side(by: str, tmp_path: Path) -> None:
    train, val = splits(Import(numbered(tmp_path / "raw", 20), "--group-by", by).folder)
    scenes = [{name.split("_")[0] for name in part} for part in (train, val)]
    assert scenes[0] and scenes[1] and not scenes[0] & scenes[1]


def test_one_group_alone_cannot_be_split(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert Import(numbered(tmp_path / "raw", 4), "--group-by", "folder").status == 1
    assert "groups by folder" in capsys.readouterr().err


def test_lists_of_ids_in_the_source_are_the_splits(tmp_path: Path) -> None:
    raw.flat(tmp_path / "raw")
    (tmp_path / "raw/train.txt").write_text("\ufeffim0\r\nim3\r\n", encoding="utf-8", newline="")
    (tmp_path / "raw/val.txt").write_text("im1.jpg\n")
    done = Import(tmp_path / "raw")
    assert splits(done.folder) == (["im0", "im3"], ["im1"])
    assert "in none of the lists" in (done.out / "import.txt").read_text()


# -- ids ----------------------------------------------------------------------------------------------

parts = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=120)


@given(st.lists(st.lists(parts, min_size=1, max_size=3).map("/".join), unique=True, max_size=12))
def test_any_names_become_ids_that_are_files_of_the_folder(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    ids = ids_of(names)
    assert len({name.lower() for name in ids}) == len(names)
    for name in ids:
        assert name == name.strip() and "/" not in name and not name.startswith((".", "-"))
        assert len(name.encode()) < 250
    if names:
        path = tmp_path_factory.getbasetemp() / "list.txt"
        path.write_text("".join(f"{name}\n" for name in ids), encoding="utf-8")
        assert read_split(path) == ids


def test_ids_that_collide_are_told_apart_by_their_folders() -> None:
    assert ids_of(["a/x", "b/x", "c/y"]) == ["a_x", "b_x", "y"]
    assert ids_of(["a/X", "b/x"]) == ["a_X", "b_x"]
    assert ids_of(["a/x", "b/x", "a_x"]) == ["a_x", "b_x", "a_x-2"]
