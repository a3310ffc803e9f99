"""Files far larger than one of their kind can be: a sparse one takes no disk, and would fill the memory."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import caffe
from fcn.runs import Run, read_rows
from fcn.train.keeping.loopstate import load_loop
from fcn.train.keeping.snapshots import Snapshots
from voc_layers import matfile, reading

READERS: dict[str, Callable[[Path], object]] = {
    "net.prototxt": lambda path: caffe.Net(str(path), caffe.TEST),
    "solver.prototxt": lambda path: caffe.get_solver(str(path)),
    "classes.txt": reading.read_classes,
    "train.txt": reading.read_split,
    "label.mat": reading.read_label_mat,
    "all.mat": matfile.arrays,
    "run.json": lambda path: Run(path.parent).job(),
    "curves.csv": read_rows,
    "train_iter_1.loop.json": lambda path: load_loop(path.with_name("train_iter_1.solverstate")),
}


@pytest.fixture
def hollow(tmp_path: Path) -> Callable[[str], Path]:
    """Makes a file of a terabyte that takes no room."""

    def make(name: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
        try:
            os.truncate(path, 1 << 40)
        except OSError:
            pytest.skip("this file system has no such files")
        return path

    return make


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="sparse files")
@pytest.mark.parametrize("name", READERS)
def test_a_file_of_a_terabyte_is_refused_by_its_size(hollow: Callable[[str], Path], name: str) -> None:
    path = hollow(name)
    with pytest.raises((ValueError, caffe.CaffeError), match=f"{name}.*1,099,511,627,776"):
        READERS[name](path)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="sparse files")
def test_an_index_of_a_terabyte_names_no_snapshot(hollow: Callable[[str], Path], tmp_path: Path) -> None:
    hollow("snapshot/index.json")
    assert Snapshots(Run(tmp_path)).complete() == {}
