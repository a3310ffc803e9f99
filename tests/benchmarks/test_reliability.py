"""What `make reliability` would notice: memory that grows, faults not reported; and that calls fail."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.reliability import planted, soak
from benchmarks.reliability.__main__ import USUAL
from benchmarks.reliability.faults import KINDS, build
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
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "killed"])
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


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_a_process_can_be_killed_at_a_call(faults: Path, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "here"), "6", str(KINDS["killed"]), "0"]
    done = subprocess.run(command, env={**os.environ, "LD_PRELOAD": str(faults)}, check=False)
    assert done.returncode == -signal.SIGKILL
    assert {path.name for path in (tmp_path / "here").iterdir()} == {"a.done", "b"}


WRITERS = """
import sys
from pathlib import Path
from benchmarks.reliability.commands import Command
from benchmarks.reliability.faults import Faults
from benchmarks.reliability.outputs import WAYS, Trial
from fcn.commands.options import carry_out
from fcn.outputs import replace_text

def whole(text):
    return carry_out("whole", lambda: replace_text(Path("out/a.txt"), text) or 0)

def half(text):
    return carry_out("half", lambda: Path("out/a.txt").write_text(text) and 0)

for write in whole, half:
    trial = Trial(Command("c", lambda: write("before"), lambda: write("after")), Path(sys.argv[1]), Faults())
    numbers = range(1, trial.calls() + 1)
    wrong = [what for kind, lasts in WAYS for number in numbers if (what := trial.wrong(kind, lasts, number))]
    print(len(numbers) > 1, len(wrong))
"""


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_a_command_that_leaves_half_a_file_is_noticed(faults: Path, tmp_path: Path) -> None:
    """And one that replaces its file as all do stands the same: full, damaged, read-only, killed."""
    env = {**os.environ, "LD_PRELOAD": str(faults), "FCN_FAULTS": str(faults)}
    command = [sys.executable, "-c", WRITERS, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    whole, half = (line.split() for line in done.stdout.splitlines())
    assert whole == ["True", "0"] and half[0] == "True" and int(half[1]) > 0


@pytest.fixture(scope="module")
def faults(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that makes calls fail."""
    return build(tmp_path_factory.mktemp("faults"))
