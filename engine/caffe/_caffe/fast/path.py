"""The fast path: runs a plan by operations on planes where it can, with the results of the reference path."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch

from ..machine.simd import LANES
from ..naming import raise_named
from ..reference import ReferencePath
from .convolution import rounded
from .lowering import Item, join, lower
from .operation import Operation
from .operations.inner import Inner
from .operations.upscale import Upscale
from .planes import Plane, whole
from .promises import Copy, Origin, Remade, promise
from .saving import Saver


class FastPath:
    """Runs whole forward passes on the CPU; whatever else there is to run, the reference path runs.

    Blobs hold what the reference path would leave in them. Most are made only when somebody reads them:
    from the plane that holds their values, or, where an operation skipped them, by their own layers.

    Args:
        reference: the net.
        saving: whether planes that nothing reads any more are given to later operations.
    """

    def __init__(self, reference: ReferencePath, saving: bool = False) -> None:
        # Not `reference` itself, which holds this path: a net that nobody holds is let go at once.
        self._plan, self._steps, self._blobs = reference.plan, reference.steps, reference.blobs
        self._items = self._lower(reference)
        self._saver: Saver | None = None
        self._allocate: Callable[[int], torch.Tensor] = torch.empty  #: makes room for planes
        if saving:
            runs = [[item] if isinstance(item, int) else item.chain.numbers for item in self._items]
            self._saver = Saver(self._plan, self._blobs, runs)
            self._allocate = self._saver.arena.take
            for item in self._items:
                if isinstance(item, Operation):
                    item.plane.allocate = self._allocate
        else:
            join(reference, self._items)
        self._inputs: dict[tuple[int, int], Plane] = {}

    def _lower(self, net: ReferencePath) -> list[Item]:
        return lower(net)

    @property
    def applies(self) -> bool:
        """Whether there is anything that it does better."""
        return any(not isinstance(item, int) for item in self._items)

    def forward(self) -> float:
        """Run all layers; returns the weighted sum of their losses."""
        loss: torch.Tensor | float = 0.0
        planes: dict[int, Plane] = {}
        saver = self._saver
        if saver is not None:
            saver.start()
        with torch.no_grad():
            for at, item in enumerate(self._items):
                part = self._forward(item, planes)
                loss = loss if part is None else loss + part
                if saver is not None:
                    saver.release(at, planes)
        return float(loss)

    def _forward(self, item: Item, planes: dict[int, Plane]) -> torch.Tensor | float | None:
        """Run an operation, or a layer by itself; returns its part of the loss, if it has one."""
        if not isinstance(item, int):
            return self._operate(item, planes)
        part = self._steps[item].forward()
        self._follow(item, planes)
        return part

    def _operate(self, item: Operation | Upscale | Inner, planes: dict[int, Plane]) -> torch.Tensor | float:
        """Run an operation; what goes wrong in it, such as memory that is not there, is its first layer's."""
        try:
            if isinstance(item, Operation):
                return self._run(item, planes)
            self._from_blob(item, planes)
            return 0.0
        except (RuntimeError, MemoryError) as error:
            raise_named(self._plan.layers[item.chain.numbers[0]].param, error)

    def _follow(self, number: int, planes: dict[int, Plane]) -> None:
        """A layer has run by itself: what it wrote is in no plane, unless it handed a plane's blob on."""
        planned = self._plan.layers[number]
        source = planes.get(planned.bottoms[0]) if planned.bottoms else None
        for top in planned.tops:
            planes.pop(top, None)
            if planned.type == "Split" and source is not None:
                planes[top] = source
        if self._saver is not None:
            self._saver.ran(number)

    def _run(self, operation: Operation, planes: dict[int, Plane]) -> torch.Tensor | float:
        chain = operation.chain
        if any(
            0 in self._blobs[number].dims or len(self._blobs[number].dims) != 4 for number in chain.bottoms
        ):
            return self._give_up(operation, planes)
        if operation.light and not any(number in planes for number in chain.bottoms):
            return self._give_up(operation, planes)
        margins = (operation.narrow_margin, *[0] * len(chain.bottoms))
        bottoms = [self._plane(number, planes, margin) for number, margin in zip(chain.bottoms, margins)]
        if not operation.suits([plane.layout for plane in bottoms]):
            return self._give_up(operation, planes)
        if not operation.run(bottoms):
            return self._give_up(operation, planes)
        self._ran(operation, bottoms)
        origins: Sequence[Origin] = bottoms
        if self._saver is not None:
            origins = self._saver.origins(chain, bottoms)
            self._saver.made(operation, origins)
        planes[chain.top] = operation.plane
        promise(self._blobs[chain.top], operation.plane)
        for number in chain.skipped:
            planes.pop(number, None)
            name = self._plan.blob_names[number]
            promise(self._blobs[number], Remade(chain.recipe, number, name, origins))
        return 0.0

    def _from_blob(self, operation: Upscale | Inner, planes: dict[int, Plane]) -> None:
        chain = operation.chain
        source = self._blobs[chain.bottoms[0]]
        for number in (chain.top, *chain.skipped):
            planes.pop(number, None)
        if not operation.ready(source):
            self.forget(chain.numbers)
            chain.forward()
            return
        operation.compute(source, self._blobs[chain.top])
        for number in chain.skipped:
            name = self._plan.blob_names[number]
            promise(self._blobs[number], Remade(chain.recipe, number, name, [Copy(source.value.clone())]))

    def _ran(self, operation: Operation, bottoms: list[Plane]) -> None:
        """An operation has run on these planes."""

    def _give_up(self, operation: Operation, planes: dict[int, Plane]) -> torch.Tensor | float:
        for number in (operation.chain.top, *operation.chain.skipped):
            planes.pop(number, None)
        self.forget(operation.chain.numbers)
        return operation.chain.forward()

    def forget(self, numbers: Iterable[int]) -> None:
        """Layers are about to run by themselves: what is promised in the tops that they write is not needed.

        Many layers compute into the memory of their tops, and asking for that would first fill it.
        """
        read: set[int] = set()
        for planned in (self._plan.layers[number] for number in numbers):
            read |= {id(self._blobs[bottom].data_memory) for bottom in planned.bottoms}
            for memory in (self._blobs[top].data_memory for top in planned.tops):
                if memory.promised and id(memory) not in read:
                    memory.zero()

    def _plane(self, number: int, planes: dict[int, Plane], margin: int) -> Plane:
        """The plane of a blob, filled from the blob if no operation made it.

        Args:
            margin: the `narrow_margin` of the operation that asks.
        """
        found = planes.get(number)
        if found is not None:
            return found
        batch, channels, height, width = self._blobs[number].dims
        margin = margin if channels < LANES else 0
        plane = self._inputs.setdefault((number, margin), Plane())
        plane.allocate = self._allocate
        lanes = channels if margin else rounded(channels, LANES)
        plane.lay_out(whole(batch, channels, height, width, lanes, max(1, margin)))
        plane.read(self._blobs[number].value)
        if not margin:
            planes[number] = plane
        return plane
