"""Forward passes that come again: what was done is kept, and done anew without asking what to do."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import torch

from ..blob import Blob
from ..layer import Layer
from ..machine.workers import Job, Jobs, workers
from ..memory import Memory, Seen, see, unchanged
from .operation import Operation
from .parameters import contents
from .planes import Plane
from .promises import Origin, Promise, promised

LITTLE = 1 << 16  #: numbers of a blob that takes longer to ask for than to make


class Fill(NamedTuple):
    """A plane is filled from a blob."""

    plane: Plane
    blob: Blob

    def run(self) -> None:
        """Do it."""
        self.plane.read(self.blob.value)


class Batch:
    """Operations whose kernels follow one another without Python, and what blobs are promised then.

    Args:
        remember: whether it is to be run again: what `still_good` has to know is kept, and little blobs that
            were read after the last pass are made with the rest, sooner than one by one.
    """

    def __init__(self, remember: bool) -> None:
        self._remember = remember
        self._jobs: list[Job] = []
        self._fills: list[Fill] = []
        self._reads: list[tuple[Memory, Plane, int]] = []
        self._ready = Jobs([])
        self._layers: list[Layer] = []
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
        self._layers += operation.chain.layers
        for blob, origin in made:
            memory = blob.data_memory
            if self._remember and not memory.promised and isinstance(origin, Plane) and blob.count <= LITTLE:
                self._reads.append((memory, origin, blob.count))
            else:
                self._promises.append((memory, promised(origin), blob.count))

    def close(self) -> None:
        """No operation comes any more."""
        fills = [fill.plane.filling(fill.blob.value.contiguous()) for fill in self._fills]
        reads = [plane.reading(torch.empty(count)) for _, plane, count in self._reads]
        self._ready = Jobs([*fills, *self._jobs, *reads])
        self._jobs.clear()
        if self._remember:
            blobs = [blob for layer in self._layers for blob in layer.blobs]
            self._parameters = [see(blob.data_memory, contents) for blob in blobs]

    def still_good(self) -> bool:
        """Whether the parameters are those that were packed for it."""
        return unchanged(self._parameters, contents)

    def run(self) -> None:
        """Compute all planes, and the blobs that are read each time; others are made when they are read."""
        for layer in self._layers:
            layer.saved = None
        read = [fill.blob.value.contiguous() for fill in self._fills]
        made = [torch.empty(count) for _, _, count in self._reads]
        for number, values in enumerate(read):
            self._ready.redirect(number, values.data_ptr())
        for number, values in enumerate(made, self._ready.count - len(made)):
            self._ready.redirect(number, values.data_ptr())
        workers.do(self._ready)
        for (memory, _, _), values in zip(self._reads, made):
            memory.adopt(values)
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
