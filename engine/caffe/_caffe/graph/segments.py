"""Where to cut a net whose blobs are dropped in a forward pass and made again in the backward pass."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Sequence
from typing import NamedTuple

from .plan import Plan

_MOST = 16  #: segments that are tried


class Cut(NamedTuple):
    """Layers in a row, and the blobs, one for each memory, that no other layer reads."""

    layers: range
    inner: tuple[int, ...]


def segments(
    plan: Plan, sizes: Sequence[int], memories: Sequence[Hashable], again: Sequence[bool]
) -> list[Cut]:
    """The cuts that need the least: all that stays, and the largest segment.

    Args:
        sizes: of each blob, in numbers.
        memories: of each blob; equal for blobs that share data.
        again: for each layer, whether it may be run again.
    """
    return min(_tried(_Lives(plan, sizes, memories), again), key=lambda tried: tried[0])[1]


def _tried(lives: _Lives, again: Sequence[bool]) -> Iterator[tuple[int, list[Cut]]]:
    runs = _closed(lives, again)
    total = sum(lives.size(run) for run in runs)
    for count in range(1, _MOST + 1):
        cuts = [lives.cut(part) for run in runs for part in lives.parts(run, total / count)]
        inner = [sum(lives.sizes[blob] for blob in cut.inner) for cut in cuts]
        yield total - sum(inner) + max(inner, default=0), cuts


def _runs(again: Sequence[bool]) -> Iterator[range]:
    """The longest rows of layers that may all be run again."""
    first = 0
    for number, may in enumerate([*again, False]):
        if not may:
            if number > first:
                yield range(first, number)
            first = number + 1


def _closed(lives: _Lives, again: Sequence[bool]) -> list[range]:
    """Such rows in which each memory that several layers write is written by all of them.

    Run again without the others, one of them would leave another value there, or work on its own result.
    """
    may = list(again)
    while True:
        runs = list(_runs(may))
        row = {number: first for first, run in enumerate(runs) for number in run}
        torn = {number for writers in lives.written_often()
                if len({row.get(number, -1 - number) for number in writers}) > 1
                for number in writers if may[number]}  # fmt: skip
        if not torn:
            return runs
        for number in torn:
            may[number] = False


class _Lives:
    """From where to where the memories of a net's blobs are in use."""

    def __init__(self, plan: Plan, sizes: Sequence[int], memories: Sequence[Hashable]) -> None:
        self.sizes = sizes
        self._written: dict[Hashable, int] = {}  # the first layer that writes a memory
        self._read: dict[Hashable, float] = {memories[blob]: math.inf for blob in plan.outputs}
        self._blob: dict[Hashable, int] = {}
        self._writers: dict[Hashable, set[int]] = {}
        spoiled: dict[Hashable, int] = {}  # the last layer that writes over it
        for number, layer in enumerate(plan.layers):
            for blob in layer.bottoms:
                self._read[memories[blob]] = max(self._read.get(memories[blob], 0), number)
            for blob in layer.tops:
                self._written.setdefault(memories[blob], number)
                self._writers.setdefault(memories[blob], set()).add(number)
                self._blob.setdefault(memories[blob], blob)
                if blob in layer.bottoms:
                    spoiled[memories[blob]] = number
        self._spoiled = [range(self._written.get(memory, 0), last) for memory, last in spoiled.items()]

    def written_often(self) -> list[set[int]]:
        """For each memory that several layers write, their numbers."""
        return [writers for writers in self._writers.values() if len(writers) > 1]

    def size(self, layers: range) -> int:
        """Numbers in the memories that these layers are the first to write."""
        return sum(self.sizes[self._blob[memory]] for memory in self._made(layers))

    def cut(self, layers: range) -> Cut:
        """These layers, with the blobs that only they read."""
        inner = [memory for memory in self._made(layers) if self._read.get(memory, math.inf) < layers.stop]
        return Cut(layers, tuple(self._blob[memory] for memory in inner))

    def parts(self, layers: range, limit: float) -> Iterator[range]:
        """These layers in segments of at most `limit` numbers, as far as they can be cut."""
        first, best = layers.start, None
        for number in layers:
            if best is not None and self.size(range(first, number + 1)) > limit:
                yield range(first, best + 1)
                first, best = best + 1, None
            if not self._may_cut(number) or number + 1 == layers.stop:
                continue
            if best is None or self._crossing(number) <= self._crossing(best):
                best = number
        yield range(first, layers.stop)

    def _made(self, layers: range) -> list[Hashable]:
        return [memory for memory, number in self._written.items() if number in layers]

    def _may_cut(self, number: int) -> bool:
        """Whether no later layer writes over what there is behind layer `number`."""
        return all(number not in layers for layers in self._spoiled)

    def _crossing(self, number: int) -> int:
        """Numbers in the memories that are in use behind layer `number`."""
        return sum(
            self.sizes[self._blob[memory]]
            for memory, first in self._written.items()
            if first <= number < self._read.get(memory, math.inf)
        )
