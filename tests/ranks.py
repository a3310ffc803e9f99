"""Solvers that train together, each a process forked off the test's."""

from __future__ import annotations

import multiprocessing
import os
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

import caffe
from caffe._caffe.ranks import joining

#: What a rank does, given its number and where all meet; what it returns can be sent between processes.
Body = Callable[[int, bytes], Any]


class Ranks:
    """Processes that are under way: `processes` by rank, and what each `says`."""

    def __init__(self, count: int, body: Body, solvers: int, env: dict[str, str]) -> None:
        uid, context = caffe.NCCL.new_uid(), multiprocessing.get_context("fork")
        self._ends, self.processes = [], []
        for rank in range(count):
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(target=_run, args=(body, rank, solvers, uid, theirs, env), daemon=True)
            process.start()
            theirs.close()
            self._ends.append(ours)
            self.processes.append(process)

    def says(self, rank: int) -> Any:
        """What its body returned, or the text of what that raised; None where it was killed."""
        try:
            return self._ends[rank].recv()
        except EOFError:
            return None

    @property
    def all_say(self) -> list[Any]:
        return [self.says(rank) for rank in range(len(self.processes))]


@contextmanager
def together(count: int, body: Body, solvers: int | None = None, **env: str) -> Iterator[Ranks]:
    """Ranks 0 to `count` - 1 of `solvers` (default as many), killed at the end of the block."""
    ranks = Ranks(count, body, solvers or count, env)
    try:
        yield ranks
    finally:
        for process in ranks.processes:
            process.kill()
            process.join()


def launched(
    main: Callable[[list[str]], int], count: int, line: list[str], **env: str
) -> AbstractContextManager[Ranks]:
    """Processes that carry out this command line, as a launcher starts them."""

    def body(rank: int, uid: bytes) -> int:
        told = {"RANK": rank, "WORLD_SIZE": count, "LOCAL_RANK": rank, "FCN_RANKS_UID": uid.hex()}
        os.environ.update({name: str(value) for name, value in told.items()})
        return main(line)

    return together(count, body, **env)


def _run(body: Body, rank: int, solvers: int, uid: bytes, end: Any, env: dict[str, str]) -> None:
    os.environ.update(env)
    torch.set_num_threads(1)
    caffe.set_solver_count(solvers)
    caffe.set_solver_rank(rank)
    caffe.set_multiprocess(True)
    try:
        end.send(body(rank, uid))
    except caffe.CaffeError as error:
        end.send(str(error))
    except Exception:  # noqa: BLE001  a mistake in the test is to be seen
        end.send(traceback.format_exc())
    end.close()
    joining.leave()


def ranks_of(launcher: int, count: int) -> list[int]:
    """The processes that torchrun has started, in the order of their ranks; waits until there are so many."""
    while True:
        children = Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()
        found = {}
        for child in children:
            told = Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
            found |= {int(word.split(b"=")[1]): int(child) for word in told if word.startswith(b"RANK=")}
        if len(found) == count:
            return [found[rank] for rank in range(count)]
        time.sleep(0.02)


def same_weights(got: Sequence[np.ndarray], want: Sequence[np.ndarray], tolerance: float) -> bool:
    """Whether arrays agree, relative to the norm of each."""
    return all(np.linalg.norm(a - b) <= tolerance * np.linalg.norm(b) for a, b in zip(got, want, strict=True))
