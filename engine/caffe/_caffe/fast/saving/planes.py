"""Memory saved: the plane of a blob that no later layer reads is given to the operations that follow."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ...blob import Blob
from ...graph.plan import Plan
from ..operation import Chain, Operation
from ..planes import Plane
from ..promises import Origin, Remade, Root, promise


class Arena:
    """Memory that planes take and give back."""

    def __init__(self) -> None:
        self._free: list[torch.Tensor] = []
        self.count = 0  #: how many numbers it has made room for, taken or free

    def take(self, count: int) -> torch.Tensor:
        """Memory for `count` numbers: the smallest that is free, or new memory in place of one too small."""
        fitting = [memory for memory in self._free if memory.numel() >= count]
        if fitting:
            return self._remove(min(fitting, key=torch.numel))
        if self._free:
            self.count -= self._remove(max(self._free, key=torch.numel)).numel()
        self.count += count
        return torch.empty(count)

    def give(self, memory: torch.Tensor) -> None:
        """Take memory back that `take` gave."""
        self._free.append(memory)

    def _remove(self, memory: torch.Tensor) -> torch.Tensor:
        self._free = [other for other in self._free if other is not memory]
        return memory


class Saver:
    """Follows a pass, and takes planes away when nothing that is still to run reads them.

    Their blobs are made again when they are read: by the layers themselves, from the net's inputs and from
    the blobs of layers that ran by themselves.

    Args:
        runs: the numbers of the layers that are run together, in order.
    """

    def __init__(self, plan: Plan, blobs: Sequence[Blob], runs: Sequence[Sequence[int]]) -> None:
        self._plan, self._blobs = plan, blobs
        self.arena = Arena()
        self._last_read = {n: at for at, run in enumerate(runs) for i in run for n in plan.layers[i].bottoms}
        self._last_written = {n: i for i, planned in enumerate(plan.layers) for n in planned.tops}
        self._origins: dict[int, Origin] = {}
        self._pinned: set[Plane] = set()

    def start(self) -> None:
        """A pass begins."""
        self._origins.clear()
        self._pinned.clear()

    def origins(self, chain: Chain, bottoms: Sequence[Plane]) -> list[Origin]:
        """What the bottoms of an operation can be made of later; where only the plane is left, it is kept."""
        found: list[Origin] = []
        for number, plane in zip(chain.bottoms, bottoms):
            origin = self._origins.get(number)
            if origin is None and self._last_written[number] < chain.numbers[0]:
                origin = self._origins[number] = Root(self._blobs[number], self._plan.blob_names[number])
            if origin is None:
                self._pinned.add(plane)
                origin = plane
            found.append(origin)
        return found

    def made(self, operation: Operation, origins: Sequence[Origin]) -> None:
        """An operation has made its plane, of these."""
        chain = operation.chain
        name = self._plan.blob_names[chain.top]
        for number in chain.skipped:
            self._origins.pop(number, None)
        self._origins[chain.top] = Remade(chain.recipe, chain.top, name, origins)

    def ran(self, number: int) -> None:
        """A layer has run by itself."""
        planned = self._plan.layers[number]
        origin = self._origins.get(planned.bottoms[0]) if planned.type == "Split" else None
        for top in planned.tops:
            self._origins.pop(top, None)
            if origin is not None:
                self._origins[top] = origin

    def release(self, at: int, planes: dict[int, Plane]) -> None:
        """Take away the planes that nothing after run `at` reads, and those of no blob that is left."""
        kept = {plane for number, plane in planes.items() if self._last_read.get(number, at + 1) > at}
        for plane in set(planes.values()) - kept - self._pinned:
            for number in [number for number, other in planes.items() if other is plane]:
                del planes[number]
                if self._blobs[number].data_memory.promised:
                    promise(self._blobs[number], self._origins[number])
            self.arena.give(plane.release())
