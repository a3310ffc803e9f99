"""HDF5 files: what happens where they cannot be written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import resource, sys
import numpy as np
from caffe._caffe.errors import WeightsError
from caffe._caffe.formats.hdf5 import save_array, writing

resource.setrlimit(resource.RLIMIT_FSIZE, (40000, 40000))  # as a disk that is full
try:
    with writing("w.h5") as file:
        for index in range(int(sys.argv[1])):
            save_array(file, str(index), np.ones(3000, "f4"))
except WeightsError as error:
    print(error)
"""


@pytest.mark.parametrize("arrays", [1, 5, 50])
def test_a_full_disk_is_an_error_and_no_crash(tmp_path: Path, arrays: int) -> None:
    pytest.importorskip("resource", reason="limits of a process are POSIX's")
    (tmp_path / "w.h5").write_bytes(b"old")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(arrays)], cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert [path.name for path in tmp_path.iterdir()] == ["w.h5"]
    if arrays == 1:
        assert done.stdout == "" and (tmp_path / "w.h5").read_bytes() != b"old"
    else:
        assert done.stdout == "cannot write 'w.h5': File too large\n"
        assert (tmp_path / "w.h5").read_bytes() == b"old"
