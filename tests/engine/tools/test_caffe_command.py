"""The installed commands, beside another `caffe` that comes first on Python's path."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import caffe
from caffe.__main__ import TOOLS

ROOT = Path(__file__).resolve().parents[3]
#: Console scripts of the engine: name -> `module:function`.
SCRIPTS = dict(
    re.findall(r'^(\w+) = "(caffe\w*(?:\.\w+)*:\w+)"', (ROOT / "pyproject.toml").read_text(), re.M)
)


@pytest.fixture
def beside_another(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs Python with an old pycaffe that nobody built on PYTHONPATH."""
    (tmp_path / "old/caffe").mkdir(parents=True)
    (tmp_path / "old/caffe/__init__.py").write_text("from ._caffe import Net\n")

    def run(*argv: str) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join([str(tmp_path / "old"), str(ROOT / "engine")])
        return subprocess.run(
            [sys.executable, *argv],
            cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True,
        )  # fmt: skip

    return run


def test_every_console_script_is_the_tool_of_its_name(beside_another):
    assert {"caffe", *TOOLS} >= SCRIPTS.keys() >= {"caffe", "convert_imageset", "convert_mnist_data"}
    program = "import importlib, sys\n" + "".join(
        f"sys.argv = [{name!r}, '--help']\n"
        f"try: importlib.import_module({module!r}).{function}()\n"
        "except SystemExit: pass\n"
        for name, (module, function) in ((name, target.split(":")) for name, target in SCRIPTS.items())
    )
    done = beside_another("-c", program)
    assert done.returncode == 0 and done.stderr == ""
    assert set(re.findall(r"^(?:usage: )?(\w+)(?=: | \[)", done.stdout, re.M)) >= SCRIPTS.keys()


def test_doctor_names_the_other_caffe(beside_another, tmp_path):
    done = beside_another("-m", "caffe_command", "doctor")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert f"`import caffe` gives {tmp_path / 'old/caffe'} instead" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("unset PYTHONPATH")


def test_a_command_runs_the_engine_that_it_came_with(beside_another, tmp_path):
    net = 'layer { name: "p" type: "Python" top: "x" python_param { module: "own" layer: "Own" } }'
    (tmp_path / "net.prototxt").write_text(net)
    (tmp_path / "own.py").write_text(
        "import caffe\n"
        "class Own(caffe.Layer):\n"
        "    def setup(self, bottom, top): print(caffe.__file__)\n"
        "    def reshape(self, bottom, top): top[0].reshape(1)\n"
        "    def forward(self, bottom, top): pass\n"
        "    def backward(self, top, propagate_down, bottom): pass\n"
    )
    program = "import sys; sys.path.append('.'); import caffe_command; sys.exit(caffe_command.main())"
    done = beside_another("-c", program, "time", "-model", "net.prototxt", "-iterations", "1")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{caffe.__file__}\n"


def test_a_process_that_has_the_other_caffe_is_told_so(beside_another, tmp_path):
    (tmp_path / "old/caffe/__init__.py").write_text("")
    done = beside_another("-c", "import caffe, caffe_command")
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
    assert str(tmp_path / "old/caffe/__init__.py") in done.stderr
