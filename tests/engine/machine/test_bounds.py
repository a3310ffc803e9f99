"""Kernels read and write what is theirs: beside it there may be no memory at all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("numba", reason="the fast path needs numba")

ROOT = Path(__file__).resolve().parents[3]
ENGINE = ROOT / "tests" / "engine"
TESTS = (
    "fast/test_training.py",
    "fast/test_same_results.py",
    "fast/test_lines.py",
    "machine/test_dense_kernel.py",
)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows protects memory in other ways")
@pytest.mark.parametrize("tests", TESTS)
def test_nothing_is_read_or_written_beyond_the_end(tests: str) -> None:
    plugins = ("tests.engine.machine.guarded", "no:xdist", "no:cacheprovider")
    command = [sys.executable, "-m", "pytest", *(word for name in plugins for word in ("-p", name))]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*command, str(ENGINE / tests)], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
