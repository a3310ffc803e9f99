"""HDF5 files: what happens where they cannot be written, and where they lead to others."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from caffe._caffe.errors import ParseError
from caffe._caffe.formats.hdf5 import reading

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


def leads_away(path: Path, how: str) -> None:
    """An HDF5 file whose group `data` lies, by one of HDF5's ways, in another file."""
    with h5py.File(path.with_name("other.h5"), "w") as other:
        other["ip/0"] = np.ones((2, 3), "f4")
    with h5py.File(path, "w") as file:
        if how == "external link":
            file["data"] = h5py.ExternalLink("other.h5", "/")
        elif how == "soft link":
            file["data"] = h5py.SoftLink("/elsewhere")
        elif how == "external storage":
            file.create_dataset(
                "data/ip/0", (2, 3), "f4", external=[(str(path.with_name("other.h5")), 0, 24)]
            )
        else:
            layout = h5py.VirtualLayout((2, 3), "f4")
            layout[...] = h5py.VirtualSource("other.h5", "ip/0", (2, 3))
            file.create_virtual_dataset("data/ip/0", layout)


@pytest.mark.parametrize("how", ["external link", "soft link", "external storage", "virtual data set"])
def test_a_file_that_leads_to_another_is_refused(tmp_path: Path, how: str) -> None:
    leads_away(tmp_path / "w.h5", how)
    with pytest.raises(ParseError, match=r"w\.h5': /data"), reading(tmp_path / "w.h5"):
        pass


def test_groups_that_hold_each_other_are_read(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file.create_group("a")["b"] = file["/"]
    with reading(tmp_path / "w.h5") as file:
        assert "b" in file["a"]
