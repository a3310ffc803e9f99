"""Runs the `caffe` command in this process, and compares its log with one of Caffe's."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from caffe.__main__ import main
from tests.engine.support import golden

CASES = {path.parent.name: json.loads(path.read_text())
         for path in sorted((golden.GOLDEN / "cli").glob("*/case.json"))}  # fmt: skip

_PREFIX = re.compile(r"[IWEF]\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ [^ :]+:\d+\] ")
#: The beginnings of lines that log parsers look for.
_READ = re.compile(
    r"Iteration|\s+(Train|Test) net output|Test loss|Snapshotting|Resuming from|Finetuning from|Solving|"
    r"Optimization Done|Starting Optimization|Learning Rate Policy|Running for|Batch \d+,|Loss:|"
    r"[\w/.-]+ = [-\d.einf]+|\*\*\* Benchmark|Testing for|Average|\s*\S+\t(forward|backward): |Total Time|"
    r"Initial loss|MultiStep Status|Gradient clipping|Querying GPUs"
)
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*(?:e[-+]?\d+)?|nan|inf)\b")


def bring(name: str) -> None:
    """Copy a case's input files into the working folder."""
    for path in (golden.GOLDEN / "cli" / name).iterdir():
        if path.name not in ("case.json", "stderr.txt", "stdout.txt"):
            shutil.copy(path, path.name)


def messages(log: str) -> list[str]:
    """The lines of a log that parsers read, without prefix, each said twice kept once.

    Every one of them must have glog's prefix.
    """
    found: list[str] = []
    for line in log.splitlines():
        prefix = _PREFIX.match(line)
        message = line[prefix.end() :] if prefix else line
        if not _READ.match(message):
            continue
        assert prefix, f"no glog prefix: {line!r}"
        message = re.sub(r"(Iteration \d+) \(.*?\), loss", r"\1 (<RATE>), loss", message)
        message = re.sub(r"[-\d.e+]+ ms\.", "<MS> ms.", message).rstrip()
        if found[-1:] != [message]:
            found.append(message)
    return found


def check_same(got: list[str], want: list[str]) -> None:
    """Assert equal lines, their numbers to 0.2 %."""
    assert [_NUMBER.sub("#", line) for line in got] == [_NUMBER.sub("#", line) for line in want]
    for ours, theirs in zip(got, want):
        numbers = [float(number) for number in _NUMBER.findall(theirs)]
        expected = pytest.approx(numbers, rel=2e-3, abs=1e-6, nan_ok=True)
        assert [float(number) for number in _NUMBER.findall(ours)] == expected, theirs


def check(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Run a case: exit status, files, and the log."""
    case = CASES[name]
    bring(name)
    status = main(case["args"])
    assert (status == 0) == (case["returncode"] == 0)
    assert [path for path in case["writes"] if not Path(path).exists()] == []
    log = capsys.readouterr().err
    if status == 0:
        check_same(messages(log), case["lines"])
    elif case["returncode"] < 0:
        assert re.search(r"^F\d{4} ", log, re.MULTILINE) and "Traceback" not in log
