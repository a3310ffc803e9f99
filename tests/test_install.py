"""The wheel and the sdist: what `pip install caffe-fcn` brings, used outside the checkout.

Nothing is downloaded: both are built with what is installed, and the fresh environment borrows the
packages that they need from the one that runs the tests.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import venv
from pathlib import Path

import pytest

import caffe
from tests.source_tree import ROOT, TOOLKIT

pytest.importorskip("hatchling", reason="building the package needs hatchling (extra dev)")
pytest.importorskip("pip", reason="installing the wheel needs pip")

STAND_IN = ROOT / "tests" / "stand_in"
PACKAGES = ("caffe", "nets", "solvers", "surgery", "voc_layers", "fcn")


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """What `command` prints. Of the environment PYTHONPATH is left out, unless given."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=cwd, env={**env, **environment}, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout.strip()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist and the wheel."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "hatchling", "build", "-d", folder, cwd=ROOT)
    return folder


@pytest.fixture(scope="module")
def bin_folder(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The commands of a fresh environment into which the wheel is installed."""
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder, with_pip=False, symlinks=True)
    commands = folder / "bin"
    (wheel,) = built.glob("*.whl")
    pip = [sys.executable, "-m", "pip", "--python", commands / "python", "install", "--quiet"]
    run(*pip, "--no-index", "--no-deps", wheel, cwd=folder)
    (site,) = folder.glob("lib/python*/site-packages")
    # Packages only: a .pth file in these folders, such as that of the editable checkout, is not read.
    (site / "borrowed.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")))
    return commands


def test_the_wheel_brings_the_engine_the_toolkit_and_what_goes_with_them(
    bin_folder: Path, tmp_path: Path
) -> None:
    names = ("caffe", *TOOLKIT)
    program = f"import {', '.join(names)}\nfor m in ({', '.join(names)}): print(m.__file__)"
    files = [Path(line) for line in run(bin_folder / "python", "-c", program, cwd=tmp_path).splitlines()]
    (site,) = bin_folder.parent.glob("lib/python*/site-packages")
    assert len(files) == len(names) and all(file.is_relative_to(site) for file in files), files
    for package in PACKAGES:
        assert (site / package / "py.typed").is_file(), package
    for name in ("caffe.proto", "caffe_pb2.py", "caffe_pb2.pyi"):
        assert (site / "caffe" / "proto" / name).read_bytes(), name
    for name in ("index.html", "page.css", "page.js"):
        assert (site / "fcn" / "serve" / "page" / name).read_bytes(), name
    for name in ("page.html", "page.js", "style.css"):
        assert (site / "fcn" / "report" / "templates" / name).read_bytes(), name


def test_the_commands_of_the_wheel_run_outside_the_checkout(bin_folder: Path, tmp_path: Path) -> None:
    assert caffe.__engine__ in run(bin_folder / "caffe", "-version", cwd=tmp_path)
    assert run(bin_folder / "fcn", "--help", cwd=tmp_path)
    run(bin_folder / "python", "-m", "nets", "--out", "nets", "voc-fcn8s", cwd=tmp_path)
    run(bin_folder / "caffe", "summary", "nets/voc-fcn8s/deploy.prototxt", "--size", "64x64", cwd=tmp_path)


def test_a_caffe_on_pythonpath_comes_before_the_installed_one(bin_folder: Path, tmp_path: Path) -> None:
    program = (
        "import caffe, nets; print(caffe.__file__); print(nets.build('voc-fcn8s', 'deploy').layer[-1].name)"
    )
    lines = run(bin_folder / "python", "-c", program, cwd=tmp_path, PYTHONPATH=str(STAND_IN)).splitlines()
    assert Path(lines[0]) == STAND_IN / "caffe" / "__init__.py"
    assert lines[-1] == "score"


@pytest.mark.parametrize("installed", ["editable", "wheel"])
def test_a_folder_called_caffe_hides_nobody(
    installed: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    python = sys.executable if installed == "editable" else request.getfixturevalue("bin_folder") / "python"
    (tmp_path / "caffe" / "python" / "caffe").mkdir(parents=True)  # as a clone of BVLC's repository
    assert run(python, "-c", "import caffe; print(caffe.__engine__)", cwd=tmp_path) == caffe.__engine__


def test_the_sdist_holds_the_project_and_its_tests_run(built: Path, tmp_path: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as file:
        file.extractall(tmp_path, filter="data")
    (folder,) = tmp_path.iterdir()
    if (ROOT / ".git").exists():
        tracked = run("git", "ls-files", "--cached", cwd=ROOT).splitlines()
        missing = [name for name in tracked if (ROOT / name).exists() and not (folder / name).exists()]
        assert not missing
    tests = (
        "tests/test_tiny.py",
        "tests/test_architecture.py",
        "tests/engine/proto/test_proto_in_step.py",
    )
    run(sys.executable, "-m", "pytest", "-q", *tests, cwd=folder, PYTHONPATH=str(folder / "engine"))
