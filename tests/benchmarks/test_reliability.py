"""What `make reliability` would notice: memory that grows, faults not reported; and that calls fail."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.reliability import planted, soak
from benchmarks.reliability.__main__ import USUAL
from benchmarks.reliability.disk import KINDS
from tests.source_tree import ROOT

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")


def test_memory_that_grows_is_noticed(capsys: pytest.CaptureFixture[str]) -> None:
    kept: list[bytearray] = []
    assert soak.flat("appended", 500, lambda: kept.append(bytearray(os.urandom(1 << 18))))
    assert "appended" in capsys.readouterr().out
    assert soak.flat("did nothing", 500, lambda: None) == []


def test_planted_faults_are_reported_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    assert planted.check(40, 3) == []
    monkeypatch.setattr(planted, "_spoil", lambda root, names: names)
    assert planted.check(40, 3)


@pytest.mark.slow
@pytest.mark.parametrize("part", USUAL)
def test_a_training_survives_what_the_program_does_to_it(part: str) -> None:
    """Kills, failing disks, long use and planted faults, in short."""
    command = [sys.executable, "-m", "benchmarks.reliability", "--short", "--only", part]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith(part), done.stdout + done.stderr


PROGRAM = """
import ctypes, os, sys
library = ctypes.CDLL(os.environ["LD_PRELOAD"])
folder, at, code, lasts = os.fsencode(sys.argv[1]), *map(int, sys.argv[2:])
library.fault_set(folder, ctypes.c_long(at), code, lasts)
for path in (sys.argv[1] + "/a", sys.argv[1] + "/b", sys.argv[1] + "-not/c"):
    try:
        with open(path, "wb", buffering=0) as file:
            file.write(b"x")
            os.fsync(file.fileno())
        os.rename(path, path + ".done")
        print(0)
    except OSError as error:
        print(error.errno)
"""


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("at", "lasts"), [(0, 0), *((at, lasts) for at in (1, 2, 3, 4) for lasts in (0, 1))])
def test_each_call_of_writing_a_file_can_fail(
    faults: Path, tmp_path: Path, kind: str, at: int, lasts: int
) -> None:
    """Opening, writing, flushing, renaming; below the folder and nowhere else."""
    for name in ("here", "here-not"):
        (tmp_path / name).mkdir()
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "here"), str(at), str(KINDS[kind]), str(lasts)]
    done = subprocess.run(
        command, env={**os.environ, "LD_PRELOAD": str(faults)}, capture_output=True, text=True, check=True
    )
    code = 0 if kind == "slow" or not at else KINDS[kind]
    assert done.stdout.split() == [str(code), str(code * lasts), "0"]


@pytest.fixture(scope="module")
def faults(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that makes calls fail."""
    library = tmp_path_factory.mktemp("faults") / "faults.so"
    source = ROOT / "benchmarks/reliability/faults.c"
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", library, source, "-ldl"], check=True
    )
    return library
