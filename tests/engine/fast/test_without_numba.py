"""Without Numba every net runs, by the reference path, and `caffe doctor` says what is missed."""

from __future__ import annotations

from pathlib import Path

import pytest

SUM = 'print(scores(net()).sum(dtype="d"), "numba" in sys.modules)'


@pytest.fixture
def blocked(tmp_path: Path) -> Path:
    """A folder that hides Numba from whoever has it on the path."""
    folder = tmp_path / "blocked"
    folder.mkdir()
    for name in ("numba", "llvmlite"):
        (folder / f"{name}.py").write_text(f"raise ImportError('{name} is not for this NumPy')\n")
    return folder


def test_the_numbers_are_those_of_the_reference_path(programs, blocked):
    wanted, _ = programs.run(SUM, CAFFE_ALGORITHMS="reference")
    found, told = programs.run(SUM, path=(blocked,), CAFFE_ALGORITHMS="auto")
    assert (found, told) == (wanted, "")
    found, told = programs.run(SUM, path=(blocked,), CAFFE_ALGORITHMS="fast")
    assert found == wanted
    assert "is not for this NumPy" in told, "who asks for the fast path hears why there is none"
    assert "pip install 'caffe-fcn[fast]'" in told


def test_doctor_says_that_it_is_broken(programs, blocked):
    doctor = "from caffe.tools.commands import doctor; print(doctor.main([]))"
    said, _ = programs.run(doctor, path=(blocked,))
    assert "is not for this NumPy" in said
    assert said.splitlines()[-2:] == ["pip install 'caffe-fcn[fast]'", "1"]


def test_an_unknown_algorithm_is_refused(programs):
    program = """
try:
    scores(net())
except caffe.CaffeError as error:
    print(error)
"""
    said, _ = programs.run(program, CAFFE_ALGORITHMS="quick")
    assert "CAFFE_ALGORITHMS=quick" in said
    assert all(name in said for name in ("auto", "fast", "measure", "reference"))
    said, _ = programs.run(
        "from caffe.tools.commands import doctor; doctor.main([])", CAFFE_ALGORITHMS="quick"
    )
    assert said.splitlines()[-1] == "unset CAFFE_ALGORITHMS"
