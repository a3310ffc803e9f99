"""Programs that the tests of the fast path run in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import caffe

ENGINE = Path(caffe.__file__).parents[1]

#: A net with one convolution and one that a pooling follows, filled by seed; `made` is what it makes.
NET = """
import sys, threading
import numpy as np
import caffe

caffe.init_log(1)
def net(path="net.prototxt"):
    caffe.set_random_seed(1)
    made = caffe.Net(path, caffe.TEST)
    made.blobs["data"].data[...] = np.random.RandomState(0).randn(*made.blobs["data"].shape)
    return made

def scores(of):
    return of.forward()["score"].copy()
"""
TEXT = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 40 dim: 40 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param {
    num_output: 32 kernel_size: 3 pad: 1 weight_filler { type: "msra" } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "conv2" type: "Convolution" bottom: "conv" top: "conv2" convolution_param {
    num_output: 64 kernel_size: 3 pad: 1 weight_filler { type: "msra" } } }
layer { name: "pool" type: "Pooling" bottom: "conv2" top: "pool"
    pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layer { name: "score" type: "Convolution" bottom: "pool" top: "score" convolution_param {
    num_output: 7 kernel_size: 1 weight_filler { type: "msra" } } }
"""


class Programs:
    """Starts programs in one folder, which holds the net."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "net.prototxt").write_text(TEXT)

    def start(self, program: str, path: tuple[Path, ...] = (), **environment: object) -> subprocess.Popen:
        """The program after `NET`, with more folders on Python's path and this environment."""
        env = {**os.environ, "CAFFE_ALGORITHMS": "fast", **{k: str(v) for k, v in environment.items()}}
        env["PYTHONPATH"] = os.pathsep.join(map(str, (*path, ENGINE)))
        return subprocess.Popen(
            [sys.executable, "-W", "error", "-c", NET + program],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=self.folder, env=env,
        )  # fmt: skip

    def run(self, program: str, **rest: object) -> tuple[str, str]:
        """What the program printed, and what it complained of."""
        return self.finish(self.start(program, **rest))  # type: ignore[arg-type]

    @staticmethod
    def finish(process: subprocess.Popen) -> tuple[str, str]:
        out, errors = process.communicate(timeout=200)
        assert process.returncode == 0, errors
        return out.strip(), errors


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    """Runs programs that have the functions `net` and `scores`."""
    return Programs(tmp_path)
