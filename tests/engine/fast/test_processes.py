"""The fast path in real processes: what is kept on disk, forks, threads, and what goes wrong there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("numba", reason="the fast path needs numba")

SUM = 'print(scores(net()).sum(dtype="d"))'


compiles = pytest.mark.slow  # some seconds for each process that finds nothing kept


@pytest.fixture
def wanted(programs: Any) -> str:
    """What `SUM` prints."""
    return programs.run(SUM)[0]


# ---- what is kept on disk ------------------------------------------------------------------------------


@compiles
def test_where_nothing_can_be_written_it_compiles_in_silence(programs, wanted):
    nowhere = {"HOME": "/proc/none", "XDG_CACHE_HOME": "/proc/none", "NUMBA_CACHE_DIR": "/proc/none"}
    assert programs.run(SUM, **nowhere) == (wanted, "")


@compiles
def test_processes_that_start_at_once_with_nothing_kept(programs, tmp_path, wanted):
    started = [programs.start(SUM, NUMBA_CACHE_DIR=tmp_path / "kept") for _ in range(2)]
    assert [programs.finish(process) for process in started] == [(wanted, "")] * 2


def compiled_in(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.suffix in (".nbi", ".nbc")}


@compiles
@pytest.mark.parametrize("damage", [b"\x80\x05garbage", None], ids=["garbage", "cut short"])
def test_damaged_files_are_compiled_anew_and_mended(programs, tmp_path, wanted, damage):
    from caffe._caffe.machine.compiling import cache_folder

    kept = tmp_path / "kept"
    shutil.copytree(cache_folder(), kept / cache_folder().name)
    files = compiled_in(kept)
    assert files
    for path, contents in files.items():
        path.write_bytes(contents[: len(contents) // 2] if damage is None else damage)
    for _ in range(2):  # the kernel at which it was noticed is kept at the second time
        assert programs.run(SUM, NUMBA_CACHE_DIR=kept) == (wanted, "")
    mended = compiled_in(kept)
    assert mended and programs.run(SUM, NUMBA_CACHE_DIR=kept) == (wanted, "")
    assert compiled_in(kept) == mended


def test_other_functions_of_numba_keep_their_folder(programs, tmp_path):
    program = """
import numba
before = numba.config.CACHE_DIR
scores(net())
assert numba.config.CACHE_DIR == before
"""
    programs.run(program, NUMBA_CACHE_DIR=tmp_path / "kept")


# ---- forks and threads ---------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_forked_processes_compute_on(programs):
    program = """
import multiprocessing, os, warnings
warnings.simplefilter("ignore")  # newer Pythons warn of forks beside threads
made = net()
before = scores(made)

def again(_):
    return np.array_equal(scores(made), before) and np.array_equal(scores(net()), before)

child = os.fork()
if child == 0:
    os._exit(0 if again(0) else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
with multiprocessing.get_context("fork").Pool(2) as pool:
    assert pool.map(again, range(4)) == [True] * 4
assert again(0)
"""
    programs.run(program)


def test_threads_that_run_two_nets_at_once(programs):
    program = """
nets = [net() for _ in range(2)]
nets[1].blobs["data"].data[...] *= 2
wanted = [scores(made) for made in nets]
right = [[], []]

def run(which):
    for _ in range(40):
        right[which].append(np.array_equal(scores(nets[which]), wanted[which]))

threads = [threading.Thread(target=run, args=[which]) for which in range(2)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert right == [[True] * 40] * 2, right
"""
    programs.run(program)


def test_threads_that_train_and_infer_at_once(programs):
    """Nets of several sizes, two of which train: each ends as it does alone, bit for bit."""
    program = """
text = open("net.prototxt").read()
text += 'layer { name: "loss" type: "Reduction" bottom: "score" top: "loss" loss_weight: 0.01 }'
open("train.prototxt", "w").write(text)

def trained(side, steps=6):
    with building:
        caffe.set_random_seed(1)
        made = caffe.Net("train.prototxt", caffe.TRAIN)
    made.blobs["data"].reshape(1, 3, side, side)
    for step in range(steps):
        made.blobs["data"].data[...] = np.random.RandomState(step).randn(1, 3, side, side)
        made.clear_param_diffs()
        made.forward()
        made.backward()
        for blobs in made.params.values():
            for blob in blobs:
                blob.data[...] -= np.float32(1e-3) * blob.diff
    return [blob.data.tobytes() for blobs in made.params.values() for blob in blobs]

def inferred(side, passes=12):
    with building:
        made = net()
    found = []
    for number in range(passes):
        made.blobs["data"].reshape(1, 3, side + number % 3, side)
        made.blobs["data"].data[...] = number
        found.append(scores(made).tobytes())
    return found

building = threading.Lock()  # the seed is the process's
works = [(trained, 40), (trained, 33), (inferred, 40), (inferred, 57), (inferred, 40)]
alone = [work(side) for work, side in works]
together = [None] * len(works)

def run(which):
    work, side = works[which]
    together[which] = work(side)

threads = [threading.Thread(target=run, args=[which]) for which in range(len(works))]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert [a == b for a, b in zip(alone, together)] == [True] * len(works)
"""
    programs.run(program)


def test_spawned_processes_compute_what_their_parent_does(programs):
    (programs.folder / "worker.py").write_text("""
import numpy as np
import caffe

def scored(number):
    caffe.set_random_seed(1)
    made = caffe.Net("net.prototxt", caffe.TEST)
    made.blobs["data"].data[...] = number
    return made.forward()["score"].tobytes()
""")
    program = """
import multiprocessing, worker
wanted = [worker.scored(number) for number in range(4)]
with multiprocessing.get_context("spawn").Pool(2) as pool:
    assert pool.map(worker.scored, range(4)) == wanted
"""
    programs.run(program, path=(programs.folder,))


def test_another_number_of_threads_between_passes(programs):
    program = """
import torch
made = net()
wanted = scores(made)
for threads in (1, 3, 2, 8, 1, 4):
    torch.set_num_threads(threads)
    assert np.allclose(scores(made), wanted, rtol=0, atol=1e-5 * abs(wanted).max()), threads
"""
    programs.run(program)


def test_a_thread_that_outlives_the_main_one(programs):
    program = """
import time
made = net()
wanted = scores(made)

def late():
    threading.main_thread().join()
    time.sleep(0.2)
    print(np.allclose(scores(made), wanted), np.allclose(scores(net()), wanted))

threading.Thread(target=late).start()
"""
    assert programs.run(program) == ("True True", "")


# ---- mistakes in a worker ------------------------------------------------------------------------------


@pytest.mark.parametrize(("chosen", "found"), [({}, "1000"), ({"OMP_WAIT_POLICY": "active"}, "")])
def test_threads_of_pytorch_leave_the_cores_soon_unless_the_user_says_otherwise(chosen, found):
    without = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_"))}
    environment = {**without, **chosen, "OMP_DISPLAY_ENV": "verbose"}
    program = "import caffe, os; caffe.Net; print(os.environ.get('GOMP_SPINCOUNT', ''))"
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    heard = re.search(r"GOMP_SPINCOUNT = '(\d+)'", done.stderr)
    if heard is None:
        pytest.skip("PyTorch computes with another OpenMP than GNU's")
    assert done.stdout.strip() == found and (heard[1] == "1000") == bool(found)


@pytest.mark.parametrize(
    "count, numbers", [(1, 1), (7, 1 << 20), (100_000, 64), (1 << 20, 4096), (513, 3000)]
)
def test_items_are_shared_into_pieces_that_cover_them_once(count: int, numbers: int) -> None:
    from caffe._caffe.machine.pixels import Copy
    from caffe._caffe.machine.workers import shared

    job = shared(lambda *_: None, Copy(0, 0, 0, 0), count, numbers)
    size, items = job.work[-2:]
    assert items == count and (job.pieces - 1) * size < count <= job.pieces * size


def test_no_room_for_scratch_memory_is_an_error_and_the_workers_go_on():
    from caffe._caffe.machine import pixels
    from caffe._caffe.machine.simd import LANES
    from caffe._caffe.machine.workers import Job, Jobs, Workers

    workers, source, target = Workers(), np.ones((4, LANES), np.float32), np.zeros((4, LANES), np.float32)
    work = pixels.Copy(source.ctypes.data, LANES, target.ctypes.data, LANES, 1, 4)
    with pytest.raises(MemoryError):
        workers.do(Jobs([Job(pixels.copy, work, 4, scratch=1 << 60)]))
    assert not target.any()
    workers.do(Jobs([Job(pixels.copy, work, 4, scratch=64)]))
    assert np.array_equal(source, target)


def test_memory_that_is_not_enough_names_the_layer(programs):
    pytest.importorskip("resource", reason="limits of a process are POSIX's")
    program = """
import resource
made = net()
scores(made)  # compiled
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (300 << 20),) * 2)
made.blobs["data"].reshape(1, 3, 2000, 2000)
try:
    made.forward()
except caffe.CaffeError as error:
    print(error)
"""
    said, _ = programs.run(program)
    assert "layer 'conv'" in said and "memory" in said
