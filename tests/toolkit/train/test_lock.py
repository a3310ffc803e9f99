"""One process trains in a folder at a time; one that was killed keeps nobody out."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import solve
from fcn.lock import NAME, Locked, identity, locked
from tests.source_tree import ROOT
from tests.toolkit.conftest import WIDTH


def options(data: Path, base: Path) -> list[str]:
    root = data.parent
    return [
        "voc-fcn32s", "--data", str(data), "--weights", str(base), "--width", str(WIDTH), "--test-every", "0",
        "--runs", str(root / "runs"),
    ]  # fmt: skip


@pytest.fixture
def running(data: Path, base: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A training that is under way in another process."""
    command = [sys.executable, str(ROOT / "solve.py"), *options(data, base), "--iters", "1000000"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    curves = data.parent / "runs/voc-fcn32s/curves.csv"
    while not curves.exists() and process.poll() is None:
        time.sleep(0.05)
    yield process
    process.kill()
    process.wait()


def test_a_second_training_is_refused_and_a_killed_one_is_not_in_the_way(
    running: subprocess.Popen, data: Path, base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = data.parent / "runs/voc-fcn32s"
    log = (folder / "train.log").stat().st_size
    assert solve.main([*options(data, base), "--iters", "1"]) == 1
    said = capsys.readouterr().err
    assert f"process {running.pid} on " in said and str(folder / NAME) in said
    assert (folder / "train.log").stat().st_size >= log and not list(folder.glob("snapshot/*"))
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert solve.main([*options(data, base), "--iters", "1"]) == 0
    assert not (folder / NAME).exists()


def test_the_lock_is_given_back_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), locked(tmp_path):
        assert json.loads((tmp_path / NAME).read_text())["pid"] == os.getpid()
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []
    with locked(tmp_path), pytest.raises(Locked), locked(tmp_path):
        pass


@pytest.mark.parametrize(
    ("change", "free"),
    [
        ({"host": "another"}, False),  # nobody can tell from here
        ({"start": "of a process that had this number before"}, True),
        ({"pid": None}, False),  # about to be written
    ],
)
def test_who_is_gone_is_told_by_computer_number_and_start(tmp_path: Path, change: dict, free: bool) -> None:
    (tmp_path / NAME).write_text(json.dumps({**identity(os.getpid()), **change}))
    if free:
        with locked(tmp_path):
            pass
        return
    with pytest.raises(Locked), locked(tmp_path):
        pass


def test_a_file_without_text_that_is_old_is_nobodys(tmp_path: Path) -> None:
    (tmp_path / NAME).touch()
    os.utime(tmp_path / NAME, (time.time() - 60,) * 2)
    with locked(tmp_path):
        pass


def test_a_job_that_torchrun_starts_anew_takes_its_own_lock_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever its first process ran before; never that of another job, nor at the first start."""
    for name, value in (("RUN_ID", "mine"), ("RESTART_COUNT", "1")):
        monkeypatch.setenv(f"TORCHELASTIC_{name}", value)
    elsewhere = {**identity(os.getpid()), "host": "another computer"}
    (tmp_path / NAME).write_text(json.dumps({**elsewhere, "job": "mine"}))
    with locked(tmp_path):
        assert json.loads((tmp_path / NAME).read_text())["pid"] == os.getpid()
    (tmp_path / NAME).write_text(json.dumps({**elsewhere, "job": "another"}))
    with pytest.raises(Locked, match="another computer"), locked(tmp_path):
        pass
    (tmp_path / NAME).write_text(json.dumps({**elsewhere, "job": "mine"}))
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "0")
    with pytest.raises(Locked), locked(tmp_path):
        pass
