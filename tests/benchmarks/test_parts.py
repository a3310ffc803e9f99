"""The programs of `make bench-parts`, each run once with the least that it takes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PARTS = {
    "weights": ["--width", "0.1"],
    "data": ["--width", "0.05"],
    "scoring": ["--width", "0.05", "--pairs", "2"],
    "small": [],
    "updates": ["--width", "300"],
    "paths": ["--width", "0.1", "--size", "64x64"],
    "memory": ["--width", "0.1", "--size", "64x64"],
    "ranks": ["--width", "0.1", "--size", "64x64"],
    "gpu": ["--width", "0.1", "--size", "64x64"],
}
#: How many lines they print at least; `gpu` says that there is none, where there is none.
LINES = {"memory": 3, "gpu": 1, "ranks": 2}


def test_all_parts_are_in_make_bench_parts() -> None:
    programs = {
        path.stem for path in (ROOT / "benchmarks/parts").glob("*.py") if "def main" in path.read_text()
    }
    assert programs == PARTS.keys()
    makefile = (ROOT / "Makefile").read_text()
    assert all(f"-m benchmarks.parts.{name}\n" in makefile for name in programs)


@pytest.mark.slow
@pytest.mark.parametrize("name", PARTS)
def test_a_part_runs_to_its_end(name: str) -> None:
    command = [sys.executable, "-m", f"benchmarks.parts.{name}", "--runs", "1", *PARTS[name]]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") >= LINES.get(name, 4)
