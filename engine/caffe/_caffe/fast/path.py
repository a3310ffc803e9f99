"""The fast path: runs a plan by operations on planes where it can, with the results of the reference path."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import NoReturn

import torch

from ..blob import Blob
from ..machine.simd import LANES
from ..machine.workers import workers
from ..naming import raise_named
from ..reference import ReferencePath
from .choice import chosen
from .convolution import rounded
from .lowering import Item, join, lower
from .operation import Operation
from .operations.inner import Inner
from .operations.upscale import Upscale
from .planes import Plane, whole
from .program import Batch, Entry, Fill, Program
from .promises import Copy, Origin, Remade, promise
from .saving.planes import Saver


class FastPath:
    """Runs whole forward passes on the CPU; whatever else there is to run, the reference path runs.

    Blobs hold what the reference path would leave in them. Most are made only when somebody reads them:
    from the plane that holds their values, or, where an operation skipped them, by their own layers.

    Args:
        reference: the net.
        saving: whether planes that nothing reads any more are given to later operations.
    """

    #: Whether operations may be computed together: what each works with stays until the next pass.
    batches = True

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
        self._layout = reference.layout
        self._puts_off = self.batches and not saving
        self._batch: Batch | None = None  # operations that are not computed yet
        self._log: list[Entry] | None = None  # of this pass, if it may come again
        self._last: Hashable = None  # the key of the pass before
        self._program: Program | None = None

    def _lower(self, net: ReferencePath) -> list[Item]:
        return lower(net)

    @property
    def applies(self) -> bool:
        """Whether there is anything that it does better."""
        return any(not isinstance(item, int) for item in self._items)

    def forward(self) -> float:
        """Run all layers; returns the weighted sum of their losses."""
        begin, key, saver = 0, self._key(), self._saver
        loss: torch.Tensor | float = 0.0
        planes: dict[int, Plane] = {}
        if saver is not None:
            saver.start()
        self._batch, self._log = None, None
        with torch.no_grad():
            if self._program is not None and self._program.key == key:
                begin, loss, planes = self._again(self._program.entries)
            elif key == self._last and self._puts_off:
                self._log = []
            for at in range(begin, len(self._items)):
                part = self._advance(at, planes)
                loss = loss if part is None else loss + part
                if saver is not None:
                    saver.release(at, planes)
            self._flush()
        self._last = self._key()
        if self._log is not None:
            self._program = Program(key, self._log) if key == self._last else None
        return float(loss)

    def _key(self) -> Hashable:
        """Equal to an earlier one if the same planes are where they were, and the same is done with them."""
        return self._layout.version, torch.get_num_threads(), chosen()

    def _again(self, entries: Sequence[Entry]) -> tuple[int, torch.Tensor | float, dict[int, Plane]]:
        """Do what was done in an earlier pass.

        Returns:
            The item from which on there is more to do, the loss so far, and the planes there are.
        """
        loss: torch.Tensor | float = 0.0
        version = self._layout.version
        for at, planes, batch in entries:
            good = self._layout.version == version and (batch is None or batch.still_good())
            if not good:  # something was written, or a layer has made other shapes than before
                self._program = None
                return at, loss, dict(planes)
            if batch is None:
                part = self._forward(self._items[at], dict(planes))
                loss = loss if part is None else loss + part
            else:
                batch.run()
        return len(self._items), loss, {}

    def _advance(self, at: int, planes: dict[int, Plane]) -> torch.Tensor | float | None:
        """Run an item, or put it off; returns its part of the loss, if it has one."""
        item = self._items[at]
        if isinstance(item, int) and self._passes_on(item):
            return self._forward(item, planes)
        before = dict(planes)
        if isinstance(item, Operation) and self._put_off(item, planes, (at, before)):
            return None
        self._flush()
        if self._log is not None:
            self._log.append(Entry(at, before, None))
        return self._forward(item, planes)

    def _passes_on(self, number: int) -> bool:
        """Whether a layer reads no values: a Split, whose tops have the memory of its bottom."""
        step = self._steps[number]
        return self._plan.layers[number].type == "Split" and step.follows_layout and not step.losses

    def _put_off(
        self, operation: Operation, planes: dict[int, Plane], start: tuple[int, dict[int, Plane]]
    ) -> bool:
        """Have an operation computed together with others, if it can be.

        Args:
            start: the item, and the planes there are before it.
        """
        if not self._puts_off:
            return False
        try:
            bottoms, fills = self._bottoms(operation, planes)
            jobs = operation.jobs(bottoms) if bottoms and operation.prepare(bottoms) else None
            if jobs is None:
                return False
            workers.reserve(jobs)
        except (RuntimeError, MemoryError) as error:
            self._flush()
            self._blame(operation, error)
        if fills:
            self._flush()  # which may make what they read
        if self._batch is None:
            self._batch = Batch(remember=self._log is not None)
            if self._log is not None:
                self._log.append(Entry(*start, self._batch))
        self._batch.add(operation, jobs, fills, self._made(operation, bottoms, planes))
        return True

    def _flush(self) -> None:
        """Compute what was put off."""
        batch, self._batch = self._batch, None
        if batch is not None:
            batch.close()
            batch.run()

    def _forward(self, item: Item, planes: dict[int, Plane]) -> torch.Tensor | float | None:
        """Run an operation, or a layer by itself; returns its part of the loss, if it has one."""
        if not isinstance(item, int):
            return self._operate(item, planes)
        part = self._steps[item].forward()
        self._follow(item, planes)
        return part

    def _operate(self, item: Operation | Upscale, planes: dict[int, Plane]) -> torch.Tensor | float:
        """Run an operation; what goes wrong in it, such as memory that is not there, is its first layer's."""
        try:
            if isinstance(item, Operation):
                return self._run(item, planes)
            return self._from_blob(item, planes)
        except (RuntimeError, MemoryError) as error:
            self._blame(item, error)

    def _blame(self, item: Operation | Upscale, error: RuntimeError | MemoryError) -> NoReturn:
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
        bottoms, fills = self._bottoms(operation, planes)
        if not bottoms or not operation.prepare(bottoms):
            return self._give_up(operation, planes)
        for fill in fills:
            fill.run()
        operation.compute(bottoms)
        self._ran(operation, bottoms)
        for blob, origin in self._made(operation, bottoms, planes):
            promise(blob, origin)
        return 0.0

    def _bottoms(self, operation: Operation, planes: dict[int, Plane]) -> tuple[list[Plane], list[Fill]]:
        """The planes that an operation reads, and how some are filled; none where it had better not run."""
        chain = operation.chain
        dims = {number: self._blobs[number].dims for number in chain.bottoms}
        if any(0 in d or (len(d) != 4 and number not in planes) for number, d in dims.items()):
            return [], []
        if operation.light and not any(number in planes for number in chain.bottoms):
            return [], []
        margins = (operation.narrow_margin, *[0] * len(chain.bottoms))
        found = [self._plane(number, planes, margin) for number, margin in zip(chain.bottoms, margins)]
        bottoms = [plane for plane, _ in found]
        if not operation.suits([plane.layout for plane in bottoms]):
            return [], []
        return bottoms, [fill for _, fills in found for fill in fills]

    def _made(
        self, operation: Operation, bottoms: Sequence[Plane], planes: dict[int, Plane]
    ) -> list[tuple[Blob, Origin]]:
        """Note in `planes` what an operation makes; returns what the blobs of its chain are made of."""
        chain = operation.chain
        origins: Sequence[Origin] = bottoms
        if self._saver is not None:
            origins = self._saver.origins(chain, bottoms)
            self._saver.made(operation, origins)
        for number, plane in zip(chain.bottoms, bottoms):
            if plane.layout.lanes % LANES == 0:  # others are laid out for this operation alone
                planes[number] = plane
        planes[chain.top] = operation.plane
        found: list[tuple[Blob, Origin]] = [(self._blobs[chain.top], operation.plane)]
        for number in chain.skipped:
            planes.pop(number, None)
            name = self._plan.blob_names[number]
            found.append((self._blobs[number], Remade(chain.recipe, number, name, origins)))
        return found

    def _from_blob(self, item: Upscale | Inner, planes: dict[int, Plane]) -> torch.Tensor | float:
        chain = item.chain
        source = self._blobs[chain.bottoms[0]]
        for number in (chain.top, *chain.skipped):
            planes.pop(number, None)
        if not item.ready(source):
            self.forget(chain.numbers)
            return chain.forward()
        item.compute_blob(source, self._blobs[chain.top])
        for number in chain.skipped:
            name = self._plan.blob_names[number]
            promise(self._blobs[number], Remade(chain.recipe, number, name, [Copy(source.value.clone())]))
        return 0.0

    def _ran(self, operation: Operation, bottoms: list[Plane]) -> None:
        """An operation has run on these planes."""

    def _give_up(self, operation: Operation, planes: dict[int, Plane]) -> torch.Tensor | float:
        if isinstance(operation, Inner):
            return self._from_blob(operation, planes)
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

    def _plane(self, number: int, planes: dict[int, Plane], margin: int) -> tuple[Plane, list[Fill]]:
        """The plane of a blob, and, if no operation made it, that it is still to be filled.

        Args:
            margin: the `narrow_margin` of the operation that asks.
        """
        found = planes.get(number)
        if found is not None:
            return found, []
        batch, channels, height, width = self._blobs[number].dims
        margin = margin if channels < LANES else 0
        plane = self._inputs.setdefault((number, margin), Plane())
        plane.allocate = self._allocate
        lanes = channels if margin else rounded(channels, LANES)
        plane.lay_out(whole(batch, channels, height, width, lanes, max(1, margin)))
        return plane, [Fill(plane, self._blobs[number])]
