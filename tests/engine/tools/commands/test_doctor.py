"""`caffe doctor`: what it finds is what is there."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import caffe
from caffe.tools.commands import doctor

ROOT = Path(__file__).resolve().parents[4]
ENGINE = Path(caffe.__file__).parents[1]


def run(*command: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess:
    env = {**os.environ, "PYTHONPATH": str(ENGINE), **environment}
    return subprocess.run([sys.executable, *command], capture_output=True, text=True, cwd=cwd, env=env)


def other_caffe(folder: Path) -> Path:
    """A second package of that name."""
    package = folder / "caffe"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    return package


def test_all_is_well_here(tmp_path):
    done = run("-m", "caffe", "doctor", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1] == "OK"
    found = {line.split()[0]: line.split()[1] for line in lines[:-1] if line[0] != " "}
    assert found["numpy"] == importlib.metadata.version("numpy")
    assert found["torch"] == importlib.metadata.version("torch")
    assert str(ENGINE / "caffe") in done.stdout


def test_another_caffe_later_on_the_path_is_mentioned(tmp_path):
    package = other_caffe(tmp_path / "other")
    path = os.pathsep.join([str(ENGINE), str(tmp_path / "other")])
    done = run("-m", "caffe.tools.commands.doctor", cwd=tmp_path, PYTHONPATH=path)
    assert done.returncode == 0
    assert f"{package} (comes later on sys.path, not used)" in done.stdout


def test_another_caffe_that_comes_first_is_the_thing_to_mend(tmp_path):
    package = other_caffe(tmp_path / "other")
    path = os.pathsep.join([str(ENGINE), str(tmp_path / "other")])
    program = (
        "import sys; from caffe.tools.commands import doctor; sys.path.reverse(); sys.exit(doctor.main([]))"
    )
    done = run("-c", program, cwd=tmp_path, PYTHONPATH=path)
    assert done.returncode == 1
    assert f"SHADOWED         `import caffe` gives {package} instead" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("unset PYTHONPATH")


def test_a_checkout_of_sources_hides_nobody(tmp_path):
    (tmp_path / "caffe" / "src").mkdir(parents=True)
    assert doctor.caffes([str(tmp_path), str(ENGINE)]) == [ENGINE / "caffe"]
    (tmp_path / "caffe.py").write_text("")
    assert doctor.caffes([str(tmp_path), str(ENGINE)])[0] == tmp_path / "caffe.py"


def test_a_missing_package_is_the_next_command(tmp_path):
    (tmp_path / "h5py.py").write_text("raise ImportError('no HDF5 here')")
    path = os.pathsep.join([str(tmp_path), str(ENGINE)])
    done = run("-m", "caffe.tools.commands.doctor", cwd=tmp_path, PYTHONPATH=path)
    assert done.returncode == 1
    assert re.search(r"^h5py +missing +no HDF5 here", done.stdout, re.M)
    assert done.stdout.splitlines()[-1] == "pip install h5py"


def test_every_extra_says_that_it_is_there_or_how_to_add_it(capsys):
    doctor.main([])
    out = capsys.readouterr().out
    for extra in doctor.EXTRAS:
        line = next(text for text in out.splitlines() if re.search(rf"\b{extra.name} +(pres|miss)", text))
        missing = [module for module in extra.modules if importlib.util.find_spec(module) is None]
        assert (f"pip install 'caffe-fcn[{extra.name}]'" in line) == bool(missing)


def test_the_lists_are_those_of_the_package():
    tomllib = pytest.importorskip("tomllib")  # Python 3.11
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    plain = {re.match(r"[\w-]+", text)[0].lower() for text in project["dependencies"]}
    assert plain == set(doctor.REQUIRED.values())
    extras = {
        name: {re.match(r"[\w-]+", text)[0].lower() for text in packages}
        for name, packages in project["optional-dependencies"].items()
        if name not in ("test", "browser", "docs", "dev")
    }
    assert extras == {extra.name: {d.lower() for d in extra.modules.values()} for extra in doctor.EXTRAS}
