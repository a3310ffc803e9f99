"""The group of processes that train together: joining it, what it exchanges, and waiting for the others.

A wait ends in one of three ways: the exchange is done; a rank is lost, has ended or hangs, and an error
names it; or a rank is busy with something that it has announced, and is waited for, with a line now and then.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch import distributed as dist

from .. import device
from ..errors import DeviceError, SolverError
from ..log import log
from .heart import Heart
from .meeting import REMINDER, Patience, Place, until

if TYPE_CHECKING:
    from torch._C._distributed_c10d import Store

#: Seconds of one look at an exchange under way, on the CPU.
LOOK = 0.5
#: Of torch's own limit for an exchange: it is `Group.finish` that gives up.
FOR_EVER = timedelta(days=365)
#: After a connection broke, the beats that are waited for, and those that a rank which is gone has missed:
#: one that lives is heard of within two.
WATCHED, MISSED = 5, 3


class Group:
    """The processes that have met at a place; see `join`.

    Args:
        heart: of this rank, beating.
    """

    def __init__(self, place: Place, patience: Patience, heart: Heart, period: float) -> None:
        self._place, self._patience, self._heart, self._period = place, patience, heart, period
        self._reminded = 0.0
        self._under_way = 0  # exchanges that have begun and are not done

    def connect(self, store: Store, rank: int, count: int) -> None:
        """Connect with all ranks. Torch does so as long as it takes, so a thread waits for that.

        Raises:
            SolverError: it failed, or another rank was lost meanwhile.
        """
        failed: list[RuntimeError] = []

        def connect() -> None:
            try:
                dist.init_process_group(
                    "cpu:gloo,cuda:nccl" if device.current().type == "cuda" else "gloo",
                    store=store,
                    rank=rank,
                    world_size=count,
                    timeout=FOR_EVER,
                )
            except RuntimeError as error:
                failed.append(error)

        thread = threading.Thread(target=connect, name="caffe connect", daemon=True)
        self._under_way += 1
        self._heart.arrive()
        begun = self._reminded = time.monotonic()
        thread.start()
        while thread.is_alive():
            self._look(time.monotonic() - begun)
            thread.join(LOOK)
        if failed:
            raise self._broken(failed[0]) from failed[0]
        self._under_way -= 1

    def reduce(self, tensor: Tensor) -> dist.Work:
        """Begin to add up a tensor over all ranks, in place; `finish` ends it."""
        return self._begun(lambda: dist.all_reduce(tensor, async_op=True))

    def broadcast(self, tensor: Tensor) -> None:
        """Give all ranks the tensor of rank 0, in place."""
        self.finish(self._begun(lambda: dist.broadcast(tensor, 0, async_op=True)))

    def most(self, values: Sequence[int]) -> list[int]:
        """The largest of what the ranks give, number by number; all ranks have to call it."""
        tensor = torch.tensor(list(values), dtype=torch.int64)
        self.finish(self._begun(lambda: dist.all_reduce(tensor, dist.ReduceOp.MAX, async_op=True)))
        return [int(value) for value in tensor.tolist()]

    def _begun(self, start: Callable[[], dist.Work]) -> dist.Work:
        try:
            work = start()
        except RuntimeError as error:
            raise self._broken(error) from error
        self._under_way += 1
        return work

    def finish(self, work: dist.Work) -> None:
        """Wait until an exchange is done.

        Raises:
            SolverError: another rank is lost, has ended or hangs; it is named.
        """
        self._heart.arrive()
        begun = self._reminded = time.monotonic()
        try:
            while not self._done(work):
                self._look(time.monotonic() - begun)
        except RuntimeError as error:
            if isinstance(error, SolverError):
                raise
            raise self._broken(error) from error
        self._under_way -= 1

    @staticmethod
    def _done(work: dist.Work) -> bool:
        """Whether an exchange is done, after a short wait; raises what broke it."""
        if device.current().type == "cuda":
            if not work.is_completed():
                time.sleep(1e-4)
                return False
            work.wait()
            return True
        try:
            work.wait(timedelta(seconds=LOOK))
        except RuntimeError:
            if work.is_completed():
                raise
            return False
        return True

    def _look(self, waited: float) -> None:
        """Raise SolverError where there is no use in waiting on."""
        heart, patience = self._heart, self._patience
        if time.monotonic() - heart.contact > patience.silence:
            raise self._ended(
                f"{self._place.keeper}, which keeps the meeting point {self._place}, has not answered for "
                f"{patience.silence:g} s (CAFFE_RANK_TIMEOUT)"
            )
        for rank in heart.silent(patience.silence):
            raise self._ended(
                f"{heart.who(rank)} has not been heard of for {patience.silence:g} s (CAFFE_RANK_TIMEOUT): "
                "its process was stopped, or its computer or network is gone"
            )
        for rank in heart.left(WATCHED * self._period):
            raise self._ended(f"{heart.who(rank)} has ended before the others: see its own message")
        late = heart.behind()
        busy = {rank: heart.heard[rank].beat.doing for rank in late if heart.heard[rank].beat.doing}
        if late and not busy and waited > patience.progress:
            raise self._ended(
                f"{', '.join(map(heart.who, late))} has kept the others waiting for {patience.progress:g} s "
                "(CAFFE_RANK_PATIENCE): it lives, and does not come to the end of its step; as a rule its "
                "data layer waits for a disk"
            )
        if time.monotonic() - self._reminded > REMINDER:
            self._reminded = time.monotonic()
            names = ", ".join(f"{heart.who(r)}{f', {busy[r]}' if r in busy else ''}" for r in late)
            log.warning("waiting for %s (%.0f s)", names or "the network", waited)

    def _broken(self, error: RuntimeError) -> SolverError:
        """What to raise where a connection broke: who is gone shows within a few beats."""
        time.sleep(WATCHED * self._period)
        heart = self._heart
        silent = heart.silent(MISSED * self._period)
        if time.monotonic() - heart.contact > MISSED * self._period and not self._place.launcher:
            silent.append(0)
        for rank in silent[:1]:
            return self._ended(
                f"{heart.who(rank)} is gone: its process was killed (for want of memory?), or its computer "
                "or network is lost"
            )
        for rank in heart.left()[:1]:
            return self._ended(f"{heart.who(rank)} has ended before the others: see its own message")
        first = (str(error).strip().splitlines() or ["no reason given"])[0]
        return self._ended(f"the connection to another rank is lost ({first})")

    @staticmethod
    def _ended(what: str) -> SolverError:
        return SolverError(
            f"{what}. Solver {device.solver_rank()} of {device.solver_count()} ends; the training can go on "
            "from its last snapshot"
        )

    def close(self) -> None:
        """This rank ends. The threads of a group must not outlive the interpreter: that would abort.

        In the middle of an exchange it ends the process, with status 1: torch waits for the others even when
        it is asked to let go, and they may never come.
        """
        self._heart.stop()
        if self._under_way:
            logging.shutdown()
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(1)
        dist.destroy_process_group()

    @contextmanager
    def busy(self, what: str) -> Iterator[None]:
        """Say that this rank does something that the others shall wait for, however long it takes."""
        before = self._heart.do(what)
        try:
            yield
        finally:
            self._heart.do(before)


#: The group that this process is in.
_joined: Group | None = None


def joined() -> Group | None:
    """The group that this process is in, if it is in one."""
    return _joined


@contextmanager
def busy(what: str) -> Iterator[None]:
    """`Group.busy` of this process's group; nothing where it is in none."""
    if _joined is None:
        yield
        return
    with _joined.busy(what):
        yield


def join(address: str) -> Group:
    """Meet the other solvers, as many as `set_solver_count` says; returns once all are there.

    A process is in one group for as long as it lives: a second call returns it.

    Args:
        address: ``tcp://host:port``, the same for all.

    Raises:
        SolverError: the others do not come in time: who, and how long that is.
        DeviceError: this build of PyTorch has no torch.distributed.
    """
    global _joined
    if _joined is None:
        _joined = _join(address, device.solver_rank(), device.solver_count())
    return _joined


def _join(address: str, rank: int, count: int) -> Group:
    if not dist.is_available():
        raise DeviceError("caffe.NCCL: this build of PyTorch has no torch.distributed")
    if not 0 <= rank < count:
        raise SolverError(f"caffe.NCCL: there is no solver {rank} of {count}: call caffe.set_solver_count")
    place, patience = Place.of(address), Patience.from_environment()
    store, period = place.open(rank, patience), min(1.0, patience.silence / 6)
    heart = Heart(place.open(1, patience), rank, count, period)  # not as the one that makes it
    heart.start()
    _call_the_roll(store, heart, count, patience.progress)
    group = Group(place, patience, heart, period)
    atexit.register(group.close)
    group.connect(store, rank, count)
    return group


def _call_the_roll(store: Store, heart: Heart, count: int, limit: float) -> None:
    """Wait for all ranks; raise SolverError with the names of those that do not come."""
    missing = list(range(count))

    def all_here() -> bool:
        try:
            missing[:] = [rank for rank in missing if not store.check([f"beat/{rank}"])]
        except RuntimeError as error:
            raise SolverError(
                f"{names()} did not start, and whoever keeps the meeting point is gone"
            ) from error
        return not missing

    def names() -> str:
        return f"rank{'s' if missing[1:] else ''} {', '.join(map(str, missing))} of {count}"

    if not until(all_here, limit, lambda: f"waiting for {names()} to start"):
        heart.stop()
        raise SolverError(
            f"{names()} did not start within {limit:g} s (CAFFE_RANK_PATIENCE): see what became of it where "
            "it was started"
        )


def leave() -> None:
    """Say farewell, for a process that ends without what Python does at the end."""
    global _joined
    if _joined is not None:
        atexit.unregister(_joined.close)
        _joined.close()
        _joined = None
