"""Processes made by fork compute, whatever their parent computed before and with however many threads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from caffe._caffe import threads
from tests.engine.support.data_case import data, make_lmdb

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

NET = """
input: "data" input_shape { dim: 1 dim: 3 dim: 200 dim: 200 }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
        convolution_param { num_output: 32 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param { kernel_size: 2 stride: 2 } }
layer { name: "loss" type: "Reduction" bottom: "pool" top: "loss" loss_weight: 1 }
"""
#: `compute(net)`: what a net gives, forward and backward, to four digits (with an OpenMP older than 5.0 a
#: child has one thread, and sums in another order); `child(f)`: what f gives in a fork.
BEGIN = """
import multiprocessing, os
import caffe, torch
import numpy as np

caffe.set_random_seed(1)
net = caffe.Net("net.prototxt", caffe.TRAIN)
net.save("net.caffemodel")

def compute(net):
    net = net or caffe.Net("net.prototxt", caffe.TRAIN, weights="net.caffemodel")
    net.clear_param_diffs()
    net.forward(data=np.random.default_rng(0).random((1, 3, 200, 200), np.float32))
    net.backward()
    arrays = net.blobs["pool"].data, net.params["conv"][0].diff
    sums = [(np.abs(x).mean(dtype=np.float64), x.std(dtype=np.float64)) for x in arrays]
    return " ".join(f"{mean:.3e} {deviation:.3e}" for mean, deviation in sums) + ";"

def child(function, *args):
    read, write = os.pipe()
    if not (pid := os.fork()):
        os.write(write, function(*args).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    return os.read(read, 1000).decode()
"""
PROGRAMS = {
    "a child": "assert child(compute, None) == child(compute, net) == expected",
    "children of children": """
def descend(depth):
    return compute(net) + (child(descend, depth - 1) + compute(net) if depth else "")
assert descend(3) == expected * 7
""",
    "a pool": """
with multiprocessing.get_context("fork").Pool(3) as pool:
    assert pool.map(compute, [None] * 6) == [expected] * 6
""",
    "pools after one another": """
from concurrent.futures import ProcessPoolExecutor
for _ in range(3):
    with ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as pool:
        assert list(pool.map(compute, [None] * 4)) == [expected] * 4
    assert compute(net) == expected
""",
    "a child of a thread": """
import threading
found = []
thread = threading.Thread(target=lambda: found.append((compute(None), child(compute, None))))
thread.start(); thread.join()
assert found == [(expected, expected)]
""",
    "a child after training": """
open("solver.prototxt", "w").write('net: "net.prototxt" base_lr: 0 lr_policy: "fixed"')
solver = caffe.SGDSolver("solver.prototxt")
solver.step(2)
def train():
    solver.step(1)
    return compute(net)
assert child(train) == expected
""",
}


def run(program: str, threads: int | None = 4, begin: str = BEGIN) -> None:
    """Run it with the parent's answer in `expected`; what hangs is an error."""
    settings = f"torch.set_num_threads({threads})\n" if threads else ""
    command = [sys.executable, "-c", begin + settings + "expected = compute(net)\n" + program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.fixture(autouse=True)
def net_file(in_tmp: Path) -> None:
    Path("net.prototxt").write_text(NET)


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_forked_processes_compute_what_their_parent_does(program) -> None:
    run(program)


@pytest.mark.skipif(threads._omp_pause() is None, reason="this PyTorch's OpenMP is older than 5.0")
def test_a_child_has_the_threads_of_its_parent(monkeypatch) -> None:
    program = "assert child(lambda: str(torch.get_num_threads())) == str(torch.get_num_threads())\n"
    run(program + "assert torch.get_num_threads() == 3", threads=3)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    run(program + PROGRAMS["a child"], threads=None)


def test_with_an_old_openmp_a_child_has_one_thread() -> None:
    program = """
assert child(compute, net) == child(lambda: child(compute, None))
assert child(lambda: str(torch.get_num_threads())) == "1" and torch.get_num_threads() == 4
"""
    without = "from caffe._caffe import threads\nthreads._omp_pause = lambda: None\n"
    run(program, begin=BEGIN.replace("import caffe, torch\n", "import caffe, torch\n" + without))


@pytest.mark.parametrize("backend", ["lmdb", "leveldb"])
def test_a_child_goes_on_with_the_data_of_its_parent(backend) -> None:
    if backend == "leveldb":
        pytest.importorskip("plyvel")
    make_lmdb(backend=backend)
    Path("data.prototxt").write_text(data("batch_size: 2").replace("LMDB", backend.upper()))
    run("""
source = caffe.Net("data.prototxt", caffe.TRAIN)
def labels(count):
    return " ".join(str(int(label)) for _ in range(count) for label in source.forward()["label"].copy())
assert labels(1) == "0 1"
assert child(labels, 2) == "2 3 4 5"
assert child(lambda: labels(1) + " " + child(labels, 1)) == "2 3 4 5"
def drop():
    global source
    found = labels(1)
    del source
    return found
assert child(drop) == labels(1) == "2 3"
assert labels(2) == "4 5 6 0"
""")
