"""The threads that run kernels: as many as PyTorch would use, each with memory of its own to work in.

Plain threads, because the layers that Numba brings for its own parallel loops end a forked process, or one
whose threads call at once. A forked process starts new ones.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Lock, Thread
from typing import NamedTuple

import numpy as np
import torch

from ..log import log
from . import crew
from .compiling import Kernel

MOST = 1024  # threads
PAUSE = 5e-5  # seconds between looks at work that others still have to finish
SOME = 4  # jobs are done before Python looks for an interrupt
LIGHT = 1 << 16  # numbers that a piece of light work is worth
Piece = Callable[[int, int, int], None]  #: a `Kernel`: (address of the work, piece, scratch memory)


class Job(NamedTuple):
    """A kernel's work, in pieces."""

    kernel: Piece
    work: Sequence[int]  #: int64 numbers, which the kernel reads
    pieces: int
    scratch: int = 0  #: bytes of memory that no other piece uses meanwhile


class Jobs:
    """Jobs for `Workers.do`, one after another and as often as one likes: their work lies in memory."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._works = [(ctypes.c_int64 * len(job.work))(*job.work) for job in jobs]
        rows: list[int] = []
        for job, work in zip(jobs, self._works):
            assert isinstance(job.kernel, Kernel)
            rows += [job.kernel.entry, ctypes.addressof(work), job.pieces]
        self._rows = (ctypes.c_int64 * len(rows))(*rows)
        self.address = ctypes.addressof(self._rows)
        self.count = len(jobs)
        self.pieces = max((job.pieces for job in jobs), default=0)  #: of the job that has the most
        self.scratch = max((job.scratch for job in jobs), default=0)

    def redirect(self, number: int, address: int) -> None:
        """Let the work of a job begin with another number."""
        self._works[number][0] = address


class Workers:
    """Runs the pieces of one task at a time; calls from several threads wait for each other."""

    def __init__(self) -> None:
        self._start_anew()

    def _start_anew(self) -> None:
        self._lock = Lock()
        self._scratch: list[np.ndarray] = []
        self._board = np.zeros(crew.Board.DESKS + crew.DESK * MOST, np.int64)
        self._helpers: list[Helper] = []

    def do(self, jobs: Jobs) -> None:
        """Call each job's kernel for each of its pieces, without Python.

        Raises:
            MemoryError: there is no room for the scratch memory.
        """
        threads = _threads(jobs.pieces)
        with self._lock:
            self._reserve(threads, jobs.scratch)
            if threads == 1:
                self._lead(jobs, 1)
                return
            with self._more():
                for helper in self._crew(threads - 1):
                    helper.wake()
                self._lead(jobs, threads)

    @contextmanager
    def _more(self) -> Iterator[None]:
        """Inside, helpers that are awake do not fall asleep."""
        more = self._board[crew.Board.MORE : crew.Board.MORE + 1]
        more += 1
        try:
            yield
        finally:
            more -= 1

    def _lead(self, jobs: Jobs, threads: int) -> None:
        board, done = self._board.ctypes.data, 0
        while done < jobs.count:
            end = min(done + SOME, jobs.count)
            try:
                done = crew.lead(board, jobs.address, done, end, threads)
            finally:  # an interrupt waits for the pieces, which write into memory that is given back
                while not crew.finished(board):
                    time.sleep(PAUSE)  # a piece waits for a processor: let it have this one

    def reserve(self, jobs: Sequence[Job]) -> None:
        """Make room for what these jobs need, so that it is missed now or never.

        Raises:
            MemoryError: there is none.
        """
        with self._lock:
            for job in jobs:
                self._reserve(_threads(job.pieces), job.scratch)

    def _crew(self, count: int) -> Sequence[Helper]:
        """So many helpers, or as many as can be had."""
        try:
            while len(self._helpers) < count:
                self._helpers.append(Helper(self._board, len(self._helpers) + 1))
        except (
            RuntimeError
        ) as error:  # the program's main thread has ended, and Python starts no work any more
            log.info("computing in fewer threads: %s", error)
        return self._helpers[:count]

    def rest(self) -> None:
        """Wait until no helper looks for work any more."""
        while not all(helper.asleep for helper in self._helpers):
            time.sleep(PAUSE)

    def _reserve(self, threads: int, scratch: int) -> None:
        for number in range(threads):
            if number == len(self._scratch):
                self._scratch.append(np.empty(0, np.uint8))
            if self._scratch[number].nbytes < scratch + 64:
                self._scratch[number] = np.empty(scratch + 64, np.uint8)
                desk = crew.Board.DESKS + crew.DESK * number
                self._board[desk + crew.Desk.SCRATCH] = self._address(number)

    def _address(self, worker: int) -> int:
        """The first address of a worker's memory that a cache line starts at."""
        return (self._scratch[worker].ctypes.data + 63) // 64 * 64


class Helper:
    """A thread that takes pieces off a board, and sleeps when there were none for a while.

    Args:
        number: of the thread, 1 or more.

    Raises:
        RuntimeError: no thread can be started any more.
    """

    def __init__(self, board: np.ndarray, number: int) -> None:
        self._board, self._number = board, number
        self._called = Lock()
        self._called.acquire()
        Thread(target=self._serve, name=f"caffe-fast-{number}", daemon=True).start()

    def wake(self) -> None:
        """Have it look at the board, unless it does; until then there is said to be `Board.MORE`."""
        if crew.rouse(self._board.ctypes.data, self._number):
            self._called.release()

    @property
    def asleep(self) -> bool:
        """Whether it does not look at the board."""
        return not self._board[crew.Board.DESKS + crew.DESK * self._number + crew.Desk.AWAKE]

    def _serve(self) -> None:
        while True:
            self._called.acquire()
            crew.serve(self._board.ctypes.data, self._number, crew.SPINS)


def _threads(pieces: int) -> int:
    """How many threads share so many pieces."""
    return max(1, min(torch.get_num_threads(), pieces, MOST))


workers = Workers()
atexit.register(workers.rest)
if hasattr(os, "register_at_fork"):  # Windows never forks
    os.register_at_fork(after_in_child=workers._start_anew)


def shared(kernel: Piece, work: Sequence[int], count: int, numbers: int, scratch: int = 0) -> Job:
    """The job of `count` items of so many `numbers` each.

    Args:
        work: ends with how many items a piece has, and how many there are, which is filled in here.
    """
    size = max(1, min(LIGHT // numbers, -(-count // torch.get_num_threads())))
    return Job(kernel, (*work[:-2], size, count), -(-count // size), scratch)
