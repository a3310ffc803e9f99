"""The group of processes that train together: what it exchanges, and waiting for the others.

A wait ends in one of three ways: the exchange is done; a rank is lost, has ended or hangs, and an error
names it; or a rank is busy with something that it has announced, and is waited for, with a line now and then.
"""

from __future__ import annotations

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
from ..errors import SolverError
from ..log import log
from .heart import Heart
from .meeting import PAUSE, REMINDER, Patience, Place
from .post import Post

if TYPE_CHECKING:
    from torch._C._distributed_c10d import Store

#: Seconds of one look at an exchange under way, on the CPU.
LOOK = 0.5
#: Of torch's own limit for an exchange: it is `Group.finish` that gives up.
FOR_EVER = timedelta(days=365)
#: After a connection broke, the beats that are waited for, and those that a rank which is gone has missed:
#: one that lives is heard of within two.
WATCHED, MISSED = 5, 3


class RankLost(SolverError):
    """Another rank is lost, has ended or hangs. what: which, and how that is known."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what}. Solver {device.solver_rank()} of {device.solver_count()} ends; the training can go on "
            "from its last snapshot"
        )
        self.what = what


class Group:
    """The processes that have met at a place; see `joining.join`.

    Args:
        heart: of this rank, beating.
        post: what the ranks send to rank 0.
    """

    def __init__(self, place: Place, patience: Patience, heart: Heart, period: float, post: Post) -> None:
        self._place, self._patience, self._heart, self._period = place, patience, heart, period
        self._post = post
        self._waiting = self._idle = self._reminded = 0.0  # since when; see `_wait`
        self._under_way = 0  # exchanges that have begun and are not done

    def connect(self, store: Store, rank: int, count: int) -> None:
        """Connect with all ranks. Torch does so as long as it takes, so a thread waits for that.

        Raises:
            RankLost: it failed, or another rank was lost meanwhile.
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
        self._wait()
        thread.start()
        while thread.is_alive():
            self._look()
            thread.join(LOOK)
        if failed:
            raise self._broken(failed[0]) from failed[0]
        self._ended()

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

    def send(self, message: bytes) -> None:
        """Send a message to rank 0, which need not wait for it.

        Raises:
            RankLost: whoever keeps the meeting point is gone.
        """
        try:
            self._post.send(message)
        except RuntimeError as error:
            raise self._broken(error) from error

    def receive(self, ranks: Sequence[int] = ()) -> list[tuple[int, bytes]]:
        """What has been sent to this rank 0; waits until something of these ranks has come, if there are any.

        Raises:
            RankLost: another rank is lost or has ended, or these have sent nothing for long; it is named.
        """
        self._wait()
        try:
            while not (found := self._post.take()) and ranks:
                self._look()
                if time.monotonic() - self._waiting > self._patience.progress:
                    raise RankLost(
                        f"{', '.join(map(self._heart.who, ranks))} has sent nothing for "
                        f"{self._patience.progress:g} s (CAFFE_RANK_PATIENCE): it lives, and does not come on"
                    )
                time.sleep(PAUSE)
        except RuntimeError as error:
            if isinstance(error, SolverError):
                raise
            raise self._broken(error) from error
        return found

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
            RankLost: another rank is lost, has ended or hangs; it is named.
        """
        self._heart.arrive()
        self._wait()
        try:
            while not self._done(work):
                self._look()
        except RuntimeError as error:
            if isinstance(error, SolverError):
                raise
            raise self._broken(error) from error
        self._ended()

    def _ended(self) -> None:
        self._under_way -= 1
        self._heart.leave()

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
            if not work.is_completed():
                return False
            work.wait()  # it was too late for that look only, or says what broke it
        return True

    def _wait(self) -> None:
        """A wait begins."""
        self._waiting = self._idle = self._reminded = time.monotonic()

    def _look(self) -> None:
        """Raise RankLost where there is no use in waiting on."""
        heart, patience = self._heart, self._patience
        if time.monotonic() - heart.contact > patience.silence:
            raise RankLost(
                f"{self._place.keeper}, which keeps the meeting point {self._place}, has not answered for "
                f"{patience.silence:g} s (CAFFE_RANK_TIMEOUT)"
            )
        for rank in heart.silent(patience.silence):
            raise RankLost(
                f"{heart.who(rank)} has not been heard of for {patience.silence:g} s (CAFFE_RANK_TIMEOUT): "
                "its process was stopped, or its computer or network is gone"
            )
        for rank in heart.left(WATCHED * self._period):
            raise RankLost(f"{heart.who(rank)} has ended before the others: see its own message")
        late = heart.behind()
        busy = {rank: heart.heard[rank].beat.doing for rank in late if heart.heard[rank].beat.doing}
        if busy:
            self._idle = time.monotonic()
        # By what was heard last, not by the clock: this process may have been stopped itself meanwhile.
        if late and heart.contact - self._idle > patience.progress:
            raise RankLost(
                f"{', '.join(map(heart.who, late))} has kept the others waiting for {patience.progress:g} s "
                "(CAFFE_RANK_PATIENCE): it lives, and does not come to the end of its step; as a rule its "
                "data layer waits for a disk"
            )
        if time.monotonic() - self._reminded > REMINDER:
            self._reminded = time.monotonic()
            names = ", ".join(f"{heart.who(r)}{f', {busy[r]}' if r in busy else ''}" for r in late)
            log.warning("waiting for %s (%.0f s)", names or "the network", time.monotonic() - self._waiting)

    def _broken(self, error: RuntimeError) -> RankLost:
        """What to raise where a connection broke: who is gone shows within a few beats."""
        time.sleep(WATCHED * self._period)
        heart = self._heart
        silent = heart.silent(MISSED * self._period)
        if time.monotonic() - heart.contact > MISSED * self._period and not self._place.launcher:
            silent.append(0)
        for rank in silent[:1]:
            return RankLost(
                f"{heart.who(rank)} is gone: its process was killed (for want of memory?), or its computer "
                "or network is lost"
            )
        for rank in heart.left()[:1]:
            return RankLost(f"{heart.who(rank)} has ended before the others: see its own message")
        first = (str(error).strip().splitlines() or ["no reason given"])[0]
        return RankLost(f"the connection to another rank is lost ({first})")

    def close(self) -> None:
        """This rank ends. The threads of a group must not outlive the interpreter: that would abort.

        In the middle of an exchange it ends the process, with status 1: torch waits for the others even when
        it is asked to let go, and they may never come.
        """
        if not self._under_way:
            self._heart.see_off(self._patience.silence)
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
