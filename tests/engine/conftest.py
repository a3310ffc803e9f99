"""Fixtures of the engine's tests."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import caffe

ALGORITHMS = os.environ.get("FCN_TEST_ALGORITHMS", "")


@pytest.fixture(autouse=True)
def algorithms(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs nets by what FCN_TEST_ALGORITHMS names; "mixed" draws it for each test by its name."""
    if ALGORITHMS:
        drawn = random.Random(request.node.nodeid).choice(["auto", "fast", "measure", "reference"])
        monkeypatch.setenv("CAFFE_ALGORITHMS", drawn if ALGORITHMS == "mixed" else ALGORITHMS)


@pytest.fixture
def in_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def net_of(in_tmp: Path) -> Callable[..., caffe.Net]:
    """Builds a net from prototxt text: net_of(text, phase=TEST, **kwargs)."""

    def build(text: str, phase: int = caffe.TEST, **kwargs) -> caffe.Net:
        Path("net.prototxt").write_text(text)
        return caffe.Net("net.prototxt", phase, **kwargs)

    return build


@pytest.fixture
def program(in_tmp: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Runs a script in a folder with a small classifier and pictures; returns the script's names."""
    from tests.engine.support import programs

    monkeypatch.syspath_prepend(str(in_tmp))
    programs.prepare()
    yield programs.run
    for name in [n for n, m in sys.modules.items() if str(in_tmp) in str(getattr(m, "__file__", ""))]:
        del sys.modules[name]


@pytest.fixture
def glog() -> Iterator[list[str]]:
    """The messages the engine logs during the test."""
    import logging

    from caffe._caffe.log import log

    messages: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            messages.append(record.getMessage())

    handler, level = Keep(), log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    yield messages
    log.removeHandler(handler)
    log.setLevel(level)
