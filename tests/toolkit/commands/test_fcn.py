"""The command `fcn`, run from a folder that is not the project's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fcn.__main__ import COMMANDS, SHARED_NAMES, main
from fcn.commands import data as data_command
from tests.source_tree import ROOT


def fcn(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """`fcn` in a folder of its own, as it is when it is installed."""
    command = [sys.executable, "-m", "fcn", *map(str, arguments)]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)


def test_every_command_is_listed_and_explains_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = fcn(tmp_path, "--help").stdout
    rooms = {path.stem for path in (ROOT / "fcn/commands").glob("*.py")} - {
        "__init__",
        "options",
        "getting",
        "completion",
    }
    assert COMMANDS.keys() == rooms
    for name in COMMANDS:
        assert f"\n  {name} " in listed
        with pytest.raises(SystemExit, match="0"):
            main([name, "--help"])
        assert capsys.readouterr().out.startswith(f"usage: fcn {name} ")
    assert fcn(tmp_path, "trian").returncode == 2


@pytest.mark.parametrize("name", SHARED_NAMES)
def test_another_projects_module_of_the_same_name_is_told(name: str, tmp_path: Path) -> None:
    (tmp_path / f"{name}.py").write_text("import caffe\n")
    done = fcn(tmp_path, "nets", "--out", tmp_path / "nets")
    assert done.returncode == 1 and not (tmp_path / "nets").exists()
    assert str(tmp_path / f"{name}.py") in done.stderr and "Traceback" not in done.stderr


BROKEN = {
    "caffe.py": "raise ImportError('libcaffe.so.1.0.0: cannot open shared object file')\n",
    "caffe/__init__.py": "print 'for Python 2'\n",
    "caffe/net_spec.py": "",  # a folder of that name, and nothing that a pycaffe has
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("program", [["-m", "fcn", "infer"], [str(ROOT / "infer.py")]], ids=["fcn", "script"])
def test_a_caffe_that_does_not_work_is_told(name: str, program: list[str], tmp_path: Path) -> None:
    """It lies beside the script, or where PYTHONPATH looks first."""
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(BROKEN[name])
    if name == "caffe/net_spec.py":
        (tmp_path / "caffe/__init__.py").touch()
    command = [sys.executable, *program, "x.jpg", "--weights", "w", "-o", "out"]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 1 and "Traceback" not in done.stderr and done.stderr.count("\n") == 1
    assert "the module caffe that Python finds" in done.stderr and str(tmp_path / "caffe") in done.stderr


def test_own_images_from_a_check_to_a_picture(data: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    checked = fcn(work, "data", "check", data)
    assert checked.returncode == 0 and "train: 3 images, no problems" in checked.stdout
    made = fcn(work, "weights", "random", "vgg16", "--width", 0.05, "-o", "vgg16.caffemodel")
    assert made.returncode == 0, made.stderr
    options = ("--data", data, "--width", 0.05, "--weights", "vgg16.caffemodel", "--iters", 1)
    trained = fcn(work, "train", "voc-fcn32s", *options)
    assert trained.returncode == 0, trained.stderr
    assert fcn(work, "train", "--resume", "runs/voc-fcn32s", "--iters", 2).returncode == 0
    scored = fcn(work, "score", "runs/voc-fcn32s")
    assert scored.returncode == 0 and "voc-fcn32s on data val: 2 images" in scored.stdout
    seen = fcn(work, "infer", data / "JPEGImages/3.jpg", "--weights", "runs/voc-fcn32s", "-o", "out")
    assert seen.stdout.split(": ")[1].split()[0] in ("sky", "road", "car")
    assert sorted(p.name for p in work.iterdir()) == ["out", "runs", "vgg16.caffemodel"]


def test_a_check_counts_the_problems(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (data / "SegmentationClass/3.png").unlink()
    (data / "JPEGImages/4.jpg").write_text("no image")
    assert data_command.main(["check", str(data)]) == 1
    said = capsys.readouterr().out
    assert "train: 3 images, no problems" in said and "val: 2 images, 2 problems" in said
    assert data_command.main(["check", str(data / "JPEGImages")]) == 1
    assert "SegmentationClass" in capsys.readouterr().err


def test_a_reader_that_has_seen_enough_ends_a_command_quietly(data: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)  # as `| head -0` does
    command = [sys.executable, "-m", "fcn", "data", "check", str(data)]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    os.close(writing)
    assert done.returncode == 1 and done.stderr == ""
