"""Meeting the other solvers, once in the life of a process."""

from __future__ import annotations

import atexit
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from torch import distributed as dist

from .. import device
from ..errors import DeviceError, SolverError
from .group import Group
from .heart import Heart
from .meeting import Patience, Place, until
from .post import Post

if TYPE_CHECKING:
    from torch._C._distributed_c10d import Store

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
    group = Group(place, patience, heart, period, Post(store, rank, count))
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
