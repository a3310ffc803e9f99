"""Forward passes that come again: what was done is kept, and done anew without asking what to do."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

from ..blob import Blob
from ..machine.workers import Job, Jobs, workers
from ..memory import Memory, Seen, see, unchanged
from .operation import Operation
from .parameters import contents
from .planes import Plane
from .promises import Origin, Promise, promised


class Fill(NamedTuple):
    """A plane is filled from a blob."""

    plane: Plane
    blob: Blob

    def run(self) -> None:
        """Do it."""
        self.plane.read(self.blob.value)


class Batch:
    """Operations whose kernels follow one another without Python, and what blobs are promised then."""

    def __init__(self) -> None:
        self._jobs: list[Job] = []
        self._fills: list[Fill] = []
        self._ready = Jobs([])
        self._operations: list[Operation] = []
        self._promises: list[tuple[Memory, Promise, int]] = []
        self._parameters: list[Seen] = []

    def add(
        self,
        operation: Operation,
        jobs: Sequence[Job],
        fills: Sequence[Fill],
        made: Sequence[tuple[Blob, Origin]],
    ) -> None:
        """Take in an operation, what its bottoms are filled from, and what blobs are made of after it."""
        self._jobs += jobs
        self._fills += fills
        self._operations.append(operation)
        self._promises += [(blob.data_memory, promised(origin), blob.count) for blob, origin in made]

    def close(self, remember: bool) -> None:
        """No operation comes any more.

        Args:
            remember: whether to keep what `still_good` has to know.
        """
        fills = [fill.plane.filling(fill.blob.value.contiguous()) for fill in self._fills]
        self._ready = Jobs([*fills, *self._jobs])
        if remember:
            memories = [
                memory for operation in self._operations for memory in operation.chain.recipe.memories
            ]
            self._parameters = [see(memory, contents) for memory in memories]

    def still_good(self) -> bool:
        """Whether the parameters are those that were packed for it."""
        return unchanged(self._parameters, contents)

    def run(self) -> None:
        """Compute all planes; the blobs' contents are made of them when they are read."""
        for operation in self._operations:
            operation.chain.forget()
        read = [fill.blob.value.contiguous() for fill in self._fills]
        for number, values in enumerate(read):
            self._ready.redirect(number, values.data_ptr())
        workers.do(self._ready)
        for memory, make, count in self._promises:
            memory.promise(make, count)


class Entry(NamedTuple):
    """What was done from an item on, and the planes there were before."""

    at: int  #: the item
    planes: dict[int, Plane]
    batch: Batch | None  #: that begins with it; None: the item was run by itself


class Program(NamedTuple):
    """A pass that can be done again while its key is the same."""

    key: Hashable
    entries: Sequence[Entry]
