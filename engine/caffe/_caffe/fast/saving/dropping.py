"""The fast path of nets that are trained with fewer blobs in memory: what `checkpoint` runs them by."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from ...checkpoint import Parts
from ...reference import ReferencePath
from ..lowering import Item
from ..operation import Operation
from ..operations.training import Trained
from ..planes import Plane
from ..training_path import TrainingPath
from .planes import Arena


class DroppingPath(TrainingPath):
    """Its operations and layers, run one by one. Planes are given back when their blobs are dropped.

    Args:
        reference: the net.
    """

    def __init__(self, reference: ReferencePath) -> None:
        super().__init__(reference)
        self._arena = Arena()
        self._allocate = self._arena.take
        for item in self._items:
            if isinstance(item, Operation):
                item.plane.allocate = self._allocate
            if isinstance(item, Trained):
                item.bottom_grad.allocate = self._allocate
        self._planes: dict[int, Plane] = {}
        self._grads: dict[int, Plane] = {}

    def parts(self) -> Parts:
        """What to run, in order; it keeps this path."""
        return _Parts(self, self._items)

    def goes_backward(self, item: Item) -> bool:
        """Whether it has anything to do in a backward pass."""
        numbers = [item] if isinstance(item, int) else item.chain.numbers
        return any(self._plan.layers[number].runs_backward for number in numbers)

    def run(self, item: Item) -> torch.Tensor | float | None:
        """Run an operation, or a layer by itself, forward."""
        return self._forward(item, self._planes)

    def run_backward(self, item: Item) -> None:
        """Run it backward."""
        self._backward(item, self._grads)

    def let_go(self, blobs: Iterable[int]) -> None:
        """The data of these blobs, and of those that share it, are not needed any more."""
        gone = {id(self._blobs[number].data_memory) for number in blobs}
        made = {item.chain.top: item.plane for item in self._items if isinstance(item, Operation)}
        for planes in (made, self._planes):
            for number in [n for n in planes if id(self._blobs[n].data_memory) in gone]:
                self._give(planes.pop(number))

    def let_go_diffs(self, blobs: Iterable[int]) -> None:
        """Nor are these diffs."""
        for number in blobs:
            for planes in (self._grads, self._fresh):
                plane = planes.pop(number, None)
                if plane is not None:
                    self._give(plane)

    def _give(self, plane: Plane) -> None:
        memory = plane.release()
        if memory.numel():
            self._arena.give(memory)


class _Parts(Parts):
    def __init__(self, path: DroppingPath, items: Iterable[Item]) -> None:
        self._path = path
        self.all = [
            ((item,) if isinstance(item, int) else item.chain.numbers, _Part(path, item)) for item in items
        ]

    def dropped(self, blobs: Iterable[int]) -> None:
        self._path.let_go(blobs)

    def dropped_diffs(self, blobs: Iterable[int]) -> None:
        self._path.let_go_diffs(blobs)


class _Part:
    """An operation, or a layer by itself."""

    def __init__(self, path: DroppingPath, item: Item) -> None:
        self._path, self._item = path, item
        self.runs_backward = path.goes_backward(item)

    def forward(self) -> torch.Tensor | float | None:
        return self._path.run(self._item)

    def backward(self) -> None:
        self._path.run_backward(self._item)
