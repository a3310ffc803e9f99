"""`fcn serve` as a process of its own, on a port that is free."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

from tests.source_tree import ROOT
from tests.toolkit.infer.conftest import brightest, fcn_run  # noqa: F401  fixtures

pytest.importorskip("flask", reason="the extra 'serve' is not installed")
pytest.importorskip("waitress", reason="the extra 'serve' is not installed")


@dataclass(frozen=True)
class Served:
    """A server that runs. url: of its page, with a slash at the end."""

    process: subprocess.Popen[str]
    url: str

    @property
    def address(self) -> tuple[str, int]:
        found = urlsplit(self.url)
        return str(found.hostname), int(found.port or 0)


@contextmanager
def serving(run: Path, *options: str) -> Iterator[Served]:
    """A server of a run; ended by Ctrl-C where it has not ended."""
    command = [sys.executable, "-m", "fcn", "serve", str(run), "--port", "0", *options]
    env = {**os.environ, "no_proxy": "127.0.0.1,localhost"}
    with subprocess.Popen(
        command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout and process.stderr
        line = process.stdout.readline()
        if not line:
            pytest.fail(process.stderr.read())
        try:
            yield Served(process, line.split()[0])
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                process.communicate(timeout=60)


@pytest.fixture(scope="module")
def server(fcn_run: Path) -> Iterator[Served]:  # noqa: F811
    """A server of a narrow FCN-8s, with small limits."""
    with serving(fcn_run, "--max-bytes", "100000", "--max-pixels", "20000") as running:
        yield running


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image of 60 x 80 pixels, which says which of its sides is up."""
    path = tmp_path_factory.mktemp("photo") / "cat & dog.png"
    rng = np.random.default_rng(0)
    image = np.kron(rng.integers(0, 256, (6, 8, 3)), np.ones((10, 10, 1))).astype(np.uint8)
    Image.fromarray(image).save(path)
    return path
