"""The processes that a launcher has started act as one: the same weights, mean gradients, one decision.

Through pycaffe's own idiom: `set_solver_count`, `set_solver_rank`, `set_multiprocess`, `caffe.NCCL`. What our
engine's NCCL has besides (`meet`, `most`, `busy`) is used where it is there; on another Caffe the first
process decides alone, and whoever started the others ends them. To share items (`send`, `received`) takes
ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import caffe

from ..protocols import SolverLike
from .world import World


@dataclass(frozen=True)
class Team:
    """The processes of one training, seen from one of them: its `world`."""

    world: World

    @property
    def root(self) -> bool:
        """Whether this process logs, scores and writes the run."""
        return self.world.rank == 0

    @property
    def count(self) -> int:
        """How many processes there are."""
        return self.world.count

    def meet(self) -> None:
        """Tell caffe which solver this is, and wait for the others.

        Raises:
            RuntimeError: this caffe trains in one process only, or another process does not come.
        """
        if not self.world.launched:
            return
        nccl = several()
        caffe.set_solver_count(self.world.count)
        caffe.set_solver_rank(self.world.rank)
        caffe.set_multiprocess(True)
        if hasattr(nccl, "meet"):
            nccl.meet(self.world.uid)

    def join(self, solver: SolverLike) -> None:
        """Give the solver the weights of the first process's, and its gradients their mean from now on."""
        if not self.world.launched:
            return
        member: Any = solver  # of whichever caffe
        nccl = caffe.NCCL(member, self.world.uid)
        nccl.bcast()
        member.add_callback(nccl)
        if not hasattr(caffe, "__engine__") and member.param.layer_wise_reduce:
            member.net.after_backward(nccl)

    def most(self, values: Sequence[int]) -> list[int]:
        """The largest of the numbers that the processes give; all have to call it.

        On a Caffe that cannot say, the first process's, which the others do not know: zeros.
        """
        if not self.world.launched:
            return list(values)
        if hasattr(caffe.NCCL, "most"):
            found: list[int] = caffe.NCCL.most(values)
            return found
        return list(values) if self.root else [0] * len(values)

    def send(self, message: bytes) -> None:
        """Send something to the first process, at this one's own pace."""
        caffe.NCCL.send(message)

    def received(self, ranks: Sequence[int] = ()) -> list[tuple[int, bytes]]:
        """For the first process: what the others have sent; waits for one of these `ranks`, if any.

        Raises:
            RuntimeError: one of them is lost; its attribute `what` says which.
        """
        found: list[tuple[int, bytes]] = caffe.NCCL.receive(ranks)
        return found

    def busy(self, what: str) -> AbstractContextManager[None]:
        """In a `with` block: the others wait for this process, however long it takes; "" for no longer."""
        if not self.world.launched or not hasattr(caffe.NCCL, "busy"):
            return nullcontext()
        context: AbstractContextManager[None] = caffe.NCCL.busy(what)
        return context


#: A training in one process, as nothing has launched it.
ALONE = Team(World())


def several() -> Any:
    """`caffe.NCCL`.

    Raises:
        RuntimeError: this caffe has none.
    """
    nccl = getattr(caffe, "NCCL", None)
    if not hasattr(nccl, "new_uid"):
        raise RuntimeError(
            f"the caffe that is imported ({caffe.__file__}) is built without NCCL and trains in one process"
        )
    return nccl
