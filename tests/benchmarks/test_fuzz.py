"""Inputs of each format end in a result or in an error of ours; and a reader that does not is found."""

from __future__ import annotations

import faulthandler
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.fuzz import trial
from benchmarks.fuzz.formats import FORMATS, Format
from benchmarks.fuzz.trial import escapes
from tests.source_tree import ROOT

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits and forks of Linux")

#: Formats whose inputs take the longest, and how many of them are read here.
SLOW = {
    "lmdb": 300,
    "labelme": 300,
    "coco": 300,
    "pth": 500,
    "binaryproto": 500,
    "image list": 500,
    "window list": 500,
}
INPUTS = 2000


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_inputs_of_any_bytes_are_read_or_refused(
    form: Format, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "caffe")
    for name in ("corpus", "trial"):
        (tmp_path / name).mkdir()
    corpus = form.corpus(tmp_path / "corpus")
    found = escapes(form, corpus, 7, range(SLOW.get(form.name, INPUTS)), tmp_path / "trial")
    assert "\n".join(f"{escape.number}: {escape.what}\n{escape.trace}" for escape in found) == ""


@pytest.mark.slow
def test_the_command_tries_the_formats_that_are_named() -> None:
    command = [sys.executable, "-m", "benchmarks.fuzz", "--format", "colours", "--format", "classes"]
    done = subprocess.run([*command, "--inputs", "20"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == ["classes", "colours"]


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_what_a_corpus_holds_is_read(form: Format, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Changes of files that no reader takes would show nothing."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / form.file
    path.parent.mkdir(exist_ok=True)
    (tmp_path / "corpus").mkdir()
    done = 0
    for data in form.corpus(tmp_path / "corpus"):
        path.write_bytes(data)
        for read in form.readers:
            try:
                read(path)
            except trial.REFUSALS:
                continue
            except RuntimeError as error:
                assert type(error).__module__.startswith("caffe")
                continue
            done += 1
    assert done or form.name in ("param_str", "index.json")  # what these name is not there


def hang(path: Path) -> None:
    while True:
        pass


def crash(path: Path) -> None:
    faulthandler.disable()  # pytest's would show where
    os.abort()


def take_memory(path: Path) -> None:
    bytearray(1 << 40)


def forget_a_case(path: Path) -> None:
    raise KeyError(path.name)


def name_no_file(path: Path) -> None:
    raise ValueError("something is wrong")


def refuse(path: Path) -> None:
    raise ValueError(f"{path}: not like this")


@pytest.mark.parametrize(
    ("read", "found"),
    [
        (hang, "SIGPROF"),
        (crash, "SIGABRT"),
        (take_memory, "MemoryError"),
        (forget_a_case, "KeyError"),
        (name_no_file, "does not name the file"),
        (refuse, None),
    ],
)
def test_escapes_are_found_with_their_input(
    read: object, found: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "SECONDS", 0.2)
    form = Format("made up", "file", lambda folder: [], lambda rng, corpus: rng.randbytes(4), (read,))  # type: ignore[arg-type]
    seen = list(escapes(form, [], 0, range(3), tmp_path))
    assert [(escape.number, found is not None and found in escape.what) for escape in seen] == (
        [] if found is None else [(0, True), (1, True), (2, True)]
    )
