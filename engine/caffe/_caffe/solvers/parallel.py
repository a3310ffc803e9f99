"""caffe.NCCL: pycaffe's idiom of one process per device, over torch.distributed.

    uid = caffe.NCCL.new_uid()                     # once, handed to every process
    caffe.set_solver_count(n); caffe.set_solver_rank(rank); caffe.set_multiprocess(True)
    solver = caffe.SGDSolver(file)
    nccl = caffe.NCCL(solver, uid); nccl.bcast(); solver.add_callback(nccl)

Gradients are averaged over the solvers before each update, as Caffe averages them. The transport is
NCCL between CUDA devices and Gloo elsewhere.
"""

from __future__ import annotations

import atexit
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from .. import device
from ..errors import CaffeError, DeviceError, SolverError

if TYPE_CHECKING:
    from . import Solver


def has_nccl() -> bool:
    """Whether gradients can travel over NCCL here (a CUDA device and a torch built with it)."""
    return (
        torch.cuda.is_available()
        and torch.distributed.is_available()
        and torch.distributed.is_nccl_available()
    )


@contextmanager
def _exchange() -> Iterator[None]:
    """Raises SolverError where torch.distributed fails: as a rule another process has ended."""
    try:
        yield
    except CaffeError:
        raise
    except RuntimeError as error:
        raise SolverError(
            f"solver {device.solver_rank()} lost the other solvers (see what ended them, or whether all were "
            f"started): {error}"
        ) from error


class NCCL:
    """Joins this process's solver with those of the others. See the module's text for the idiom.

    Args:
        solver: this process's solver.
        uid: what `new_uid` returned in the process that started the others.
    """

    def __init__(self, solver: Solver, uid: bytes | str) -> None:
        self._solver = solver
        self._address = uid.decode() if isinstance(uid, bytes) else uid

    @staticmethod
    def new_uid() -> bytes:
        """A meeting point for the processes of one training run on this machine."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return f"tcp://127.0.0.1:{probe.getsockname()[1]}".encode()

    def bcast(self) -> None:
        """Give every solver the weights of solver 0."""
        with _exchange():
            self._join()
            for blob in self._solver.net.learnable:
                value = blob.value
                torch.distributed.broadcast(value, 0)
                blob.put(value)

    def on_start(self) -> None:
        """Nothing to do before an iteration."""

    def on_gradients_ready(self) -> None:
        """Average the gradients over all solvers."""
        with _exchange():
            self._join()
            for blob in self._solver.net.learnable:
                gradient = blob.grad
                torch.distributed.all_reduce(gradient)
                blob.put_grad(gradient.div_(device.solver_count()))

    def __call__(self, layer: int) -> None:
        """As a `net.after_backward` callback: the averaging waits for `on_gradients_ready`."""

    def _join(self) -> None:
        if not torch.distributed.is_available():
            raise DeviceError("caffe.NCCL: this build of PyTorch has no torch.distributed")
        if torch.distributed.is_initialized():
            return
        if not self._address:
            raise SolverError("caffe.NCCL(solver, uid): uid is empty; take it from caffe.NCCL.new_uid()")
        torch.distributed.init_process_group(
            "nccl" if device.current().type == "cuda" else "gloo",
            init_method=self._address,
            rank=device.solver_rank(),
            world_size=device.solver_count(),
        )
        # Its threads must not outlive the interpreter: that ends the process with an abort.
        atexit.register(torch.distributed.destroy_process_group)
