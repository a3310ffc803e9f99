"""Threads that share the pieces of a task: each piece is computed once, whoever asks, by however many."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

if TYPE_CHECKING:
    from caffe._caffe.machine.workers import Workers

pytest.importorskip("numba", reason="the fast path needs numba")

LANES, PIXELS = 16, 512


@pytest.fixture
def threads() -> Iterator[None]:
    """Leaves the number of threads as it was."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def add_one(workers: Workers, values: np.ndarray, pieces: int) -> None:
    """values += ones, in place: a piece that two threads computed, or none, is seen."""
    from caffe._caffe.machine import pixels
    from caffe._caffe.machine.simd import bits
    from caffe._caffe.machine.workers import Job, Jobs

    ones, size = np.ones_like(values), PIXELS // pieces
    at = values.ctypes.data
    work = pixels.Mixture(at, bits(1), ones.ctypes.data, bits(1), at, bits(1), LANES, size, PIXELS)
    workers.do(Jobs([Job(pixels.mix, work, pieces)]))


@pytest.mark.parametrize("count", [1, 2, 5])
def test_each_piece_is_computed_once(threads, count):
    from caffe._caffe.machine.workers import Workers

    workers, values = Workers(), np.zeros((PIXELS, LANES), np.float32)
    torch.set_num_threads(count)
    for number in range(200):
        add_one(workers, values, 2 ** (number % 10))
    assert (values == 200).all()
    workers.rest()


def test_jobs_of_a_list_follow_one_another(threads):
    """Pieces of one, of many; fewer threads than the list before had, and more."""
    from caffe._caffe.machine import pixels
    from caffe._caffe.machine.simd import bits
    from caffe._caffe.machine.workers import Job, Jobs, Workers

    workers, values = Workers(), np.ones((PIXELS, LANES), np.float32)
    at, zeros = values.ctypes.data, np.zeros_like(values)
    rng, wanted = np.random.default_rng(0), 1.0
    for count in (2, 5, 1, 3, 2, 4):
        torch.set_num_threads(count)
        jobs = []
        for factor in (1.5, -1, 2 / 3, 0.75, -4 / 3) * 40:
            pieces = 2 ** int(rng.integers(0, 10))
            work = (
                at,
                bits(factor),
                zeros.ctypes.data,
                bits(0),
                at,
                bits(1),
                LANES,
                PIXELS // pieces,
                PIXELS,
            )
            jobs.append(Job(pixels.mix, pixels.Mixture(*work), pieces))
            wanted = float(np.float32(wanted) * np.float32(factor))
        workers.do(Jobs(jobs))
        assert (values == np.float32(wanted)).all()
    workers.rest()


def test_tasks_of_several_threads_do_not_mix(threads):
    from caffe._caffe.machine.workers import Workers

    workers = Workers()
    torch.set_num_threads(2)
    kept = [np.zeros((PIXELS, LANES), np.float32) for _ in range(4)]

    def run(values: np.ndarray) -> None:
        for _ in range(50):
            add_one(workers, values, 16)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, kept))
    assert all((values == 50).all() for values in kept)
    workers.rest()


def test_fewer_threads_than_before_and_more_again(threads):
    from caffe._caffe.machine.workers import Workers

    workers, values = Workers(), np.zeros((PIXELS, LANES), np.float32)
    for count in (3, 1, 2, 4, 1):
        torch.set_num_threads(count)
        add_one(workers, values, 64)
    assert (values == 5).all()
    workers.rest()


def test_threads_of_an_earlier_task_leave_a_later_one_alone(threads):
    """They still look for work when a task comes that is not shared with them, nor has memory for them."""
    from caffe._caffe.machine.compiling import PIECE, compiled
    from caffe._caffe.machine.simd import index_at, put_index
    from caffe._caffe.machine.workers import Job, Jobs, Workers

    most, alone = 700, 512
    memory, times = np.zeros(most, np.int64), np.zeros(most, np.int64)

    @compiled(PIECE)
    def note(work: int, piece: int, scratch: int) -> None:
        put_index(scratch, index_at(work) + 8 * piece)
        put_index(index_at(index_at(work + 8) + 8 * piece) + 1, index_at(work + 8) + 8 * piece)

    workers, work = Workers(), (memory.ctypes.data, times.ctypes.data)
    single = Jobs([Job(note, work, alone, scratch=1 << 16)])
    shared = [Jobs([Job(note, work, pieces)] * 3) for pieces in (4, 64, most)]
    for _ in range(2000):
        for jobs in shared:
            torch.set_num_threads(4)
            times[:] = 0
            workers.do(jobs)
            assert (times[: jobs.pieces] == 3).all()
            torch.set_num_threads(1)
            times[:] = 0
            workers.do(single)
            assert (times[:alone] == 1).all()
            assert len(set(memory[:alone].tolist())) == 1
    workers.rest()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows never forks")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_has_helpers_of_its_own(threads):
    from caffe._caffe.machine.workers import workers

    torch.set_num_threads(2)
    values = np.zeros((PIXELS, LANES), np.float32)
    add_one(workers, values, 64)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            add_one(workers, values, 64)
            status = int(not (values == 2).all())
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    add_one(workers, values, 64)
    assert (values == 2).all()
