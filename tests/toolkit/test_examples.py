"""The programs in `examples/`, run as a reader would run them, each in an empty folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def run(tmp_path: Path) -> Callable[[str], str]:
    """Runs an example and returns what it printed."""

    def call(name: str) -> str:
        env = {**os.environ, "PYTHONPATH": str(ROOT / "engine"), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-W", "error", str(ROOT / "examples" / name)]
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    return call


def test_every_example_is_run_here() -> None:
    here = Path(__file__).read_text()
    assert [path.name for path in (ROOT / "examples").glob("*.py") if f'run("{path.name}")' not in here] == []


def test_lenet_reads_new_digits(run: Callable[[str], str]) -> None:
    (accuracy,) = re.findall(r"accuracy on new digits: (\S+)", run("lenet.py"))
    assert float(accuracy) > 0.9


def test_the_first_tutorial_from_mnists_files_to_a_trained_net(
    run: Callable[[str], str], tmp_path: Path
) -> None:
    pytest.importorskip("lmdb", reason="writing a database needs the extra lmdb")
    run("mnist.py")
    log = (tmp_path / "caffe.INFO").read_text()
    accuracies = re.findall(r"Test net output #\d+: accuracy = (\S+)", log)
    assert len(accuracies) == 3 and float(accuracies[-1]) > 0.9
    assert (tmp_path / "lenet_iter_200.caffemodel").exists()


def test_surgery_labels_every_tile_of_an_image(run: Callable[[str], str]) -> None:
    printed = run("net_surgery.py").splitlines()
    assert printed[-1] == "at the tiles: [[0, 1, 2, 1], [2, 0, 1, 2]]"
    assert printed[0] == "an image of (48, 96) gives a map of (7, 19):"
    assert {len(row) for row in printed[1:-1]} == {19} and len(printed) == 9


def test_custom_layer_has_the_gradients_it_claims(run: Callable[[str], str]) -> None:
    found = re.findall(r"(\w+): gradient (\S+), difference (\S+)", run("custom_layer.py"))
    assert [name for name, *_ in found] == ["bottom", "slope"]
    for _, gradient, difference in found:
        assert abs(float(gradient)) > 0.01
        assert float(gradient) == pytest.approx(float(difference), abs=1e-4)


def test_features_find_pictures_of_the_same_kind(run: Callable[[str], str], tmp_path: Path) -> None:
    pairs = re.findall(r"([a-z]+)(\d).png is most like ([a-z]+)(\d).png", run("extract_features.py"))
    assert len(pairs) == 12
    assert all(kind == other and number != twin for kind, number, other, twin in pairs)
    assert np.load(tmp_path / "features.npy").shape == (12, 64)
