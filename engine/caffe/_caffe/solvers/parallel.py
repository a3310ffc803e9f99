"""caffe.NCCL: pycaffe's idiom of one process per device, over torch.distributed.

    uid = caffe.NCCL.new_uid()                     # once, handed to every process
    caffe.set_solver_count(n); caffe.set_solver_rank(rank); caffe.set_multiprocess(True)
    solver = caffe.SGDSolver(file)
    nccl = caffe.NCCL(solver, uid); nccl.bcast(); solver.add_callback(nccl)

Gradients are averaged over the solvers before each update, as Caffe averages them. The transport is
NCCL between CUDA devices and Gloo elsewhere. A `uid` may also be ``tcp://HOST:PORT``, of the computer that
solver 0 runs on: that is how solvers on several computers meet.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import torch

from ..errors import SolverError
from ..ranks import joining as ranks
from ..ranks.buckets import Buckets
from ..ranks.group import Group

if TYPE_CHECKING:
    from . import Solver

#: MiB of gradients that travel together.
BUCKET = 25.0


def has_nccl() -> bool:
    """Whether gradients can travel over NCCL here (a CUDA device and a torch built with it)."""
    return (
        torch.cuda.is_available()
        and torch.distributed.is_available()
        and torch.distributed.is_nccl_available()
    )


class NCCL:
    """Joins this process's solver with those of the others. See the module's text for the idiom.

    Args:
        solver: this process's solver.
        uid: what `new_uid` returned in the process that started the others, or ``tcp://HOST:PORT``.
        bucket_mb: MiB of gradients that travel together; None: CAFFE_BUCKET_MB in the environment, or 25.

    Raises:
        SolverError: a size that is none.
    """

    def __init__(self, solver: Solver, uid: bytes | str, bucket_mb: float | None = None) -> None:
        self._solver = solver
        self._address = _text(uid)
        self._size = _bucket_bytes(bucket_mb)
        self._buckets: Buckets | None = None

    @staticmethod
    def new_uid() -> bytes:
        """A meeting point for the processes of one training run on this machine."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return f"tcp://127.0.0.1:{probe.getsockname()[1]}".encode()

    @staticmethod
    def meet(uid: bytes | str) -> None:
        """Meet the other solvers before there is a solver, so that one that does not come is missed early.

        Raises:
            SolverError: see `ranks.joining.join`.
        """
        ranks.join(_text(uid))

    @staticmethod
    def most(values: Sequence[int]) -> list[int]:
        """The largest of the whole numbers that the solvers give, number by number; all have to call it.

        Raises:
            SolverError: this process has not met the others, or one of them is lost.
        """
        return _met("most").most(values)

    @staticmethod
    def send(message: bytes) -> None:
        """Send a message to solver 0, which takes it when it likes; for the others, each at its own pace.

        Raises:
            SolverError: this process has not met the others, or the meeting point is gone.
        """
        _met("send").send(message)

    @staticmethod
    def receive(ranks: Sequence[int] = ()) -> list[tuple[int, bytes]]:
        """For solver 0: the messages that have come, (rank, message), each rank's in the order of sending.

        Args:
            ranks: wait until something has come, which one of these has still to send.

        Raises:
            SolverError: this process has not met the others, or one of them is lost, has ended, or sends
                nothing for long; it is named.
        """
        return _met("receive").receive(ranks)

    @staticmethod
    def busy(what: str) -> AbstractContextManager[None]:
        """In a `with` block: the other solvers wait for this one however long it takes, and say for what."""
        return ranks.busy(what)

    def bcast(self) -> None:
        """Give every solver the weights of solver 0.

        Raises:
            SolverError: the others do not come, or one of them is lost.
        """
        group = ranks.join(self._address)
        for blob in self._solver.net.learnable:
            value = blob.value
            group.broadcast(value)
            blob.put(value)

    def on_start(self) -> None:
        """Before an iteration: gradients are sent on as backward finishes them."""
        self._laid_out().start()

    def on_gradients_ready(self) -> None:
        """Average the gradients over all solvers: send what is still here, wait for the rest.

        Raises:
            SolverError: another solver is lost, has ended or hangs; it is named.
        """
        self._laid_out().finish(ranks.join(self._address))

    def __call__(self, layer: int) -> None:
        """As a `net.after_backward` callback: nothing more, gradients are on their way already."""

    def _laid_out(self) -> Buckets:
        if self._buckets is None:
            net, group = self._solver.net, ranks.join(self._address)
            buckets = Buckets(net.plan, net.learnable, self._solver.param.iter_size, self._size)
            net.runner.hooks.gradients_done.append(lambda layer: buckets.layer_done(layer, group))
            self._buckets = buckets
        return self._buckets


def _met(call: str) -> Group:
    group = ranks.joined()
    if group is None:
        raise SolverError(f"caffe.NCCL.{call}: this process has not met the others: call NCCL.meet or bcast")
    return group


def _text(uid: bytes | str) -> str:
    text = uid.decode(errors="replace") if isinstance(uid, bytes) else uid
    if not text:
        raise SolverError("caffe.NCCL(solver, uid): uid is empty; take it from caffe.NCCL.new_uid()")
    return text


def _bucket_bytes(mib: float | None) -> int:
    text = os.environ.get("CAFFE_BUCKET_MB", "") if mib is None else str(mib)
    try:
        value = float(text or BUCKET)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e6:
        raise SolverError(f"bucket_mb (CAFFE_BUCKET_MB) {text}: a number of MiB is needed, above 0")
    return int(value * 2**20)
