"""Gradients averaged over the ranks, in buckets that travel while backward still computes.

The parameters are laid into buckets in the order in which backward finishes their gradients (Li et al.,
"PyTorch Distributed", VLDB 2020, section 3.2). A bucket sets off as soon as its last gradient is whole, and
always after those before it, so that all ranks exchange the same things in the same order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .. import device
from ..blob import Blob
from ..graph.plan import Plan
from .group import Group

if TYPE_CHECKING:
    from torch.distributed import Work


class Bucket:
    """Gradients that travel together: one in its own memory, several side by side in a copy.

    Args:
        awaited: layer -> how many of these gradients it adds to, in one pass.
    """

    def __init__(self, blobs: Sequence[Blob], awaited: Counter[int]) -> None:
        self._blobs, self._awaited = blobs, awaited
        self._counts = [blob.count for blob in blobs]
        self._copy: Tensor | None = None
        self._left = 0
        self._under_way: tuple[Tensor, Work] | None = None

    @property
    def whole(self) -> bool:
        """Whether all of its gradients are."""
        return self._left <= 0

    def await_gradients(self, passes: int) -> None:
        """Nothing has come yet of so many passes."""
        self._left, self._under_way = passes * self._awaited.total(), None

    def layer_done(self, layer: int) -> None:
        """A layer has gone backward once."""
        self._left -= self._awaited[layer]

    def set_off(self, group: Group) -> None:
        """Begin to add up the gradients over the ranks."""
        tensor = self._gathered()
        self._under_way = tensor, group.reduce(tensor)

    def settle(self, group: Group) -> None:
        """Wait for the sums; the means become the diffs."""
        assert self._under_way is not None
        tensor, work = self._under_way
        group.finish(work)
        tensor.div_(device.solver_count())
        if self._blobs[1:]:
            for blob, part in zip(self._blobs, torch.split(tensor, self._counts)):
                blob.grad_as((blob.count,)).copy_(part)
        for blob in self._blobs:
            blob.diff_memory.touched()
        self._under_way = None

    def _gathered(self) -> Tensor:
        parts = [blob.grad_as((blob.count,)) for blob in self._blobs]
        if not parts[1:]:
            return parts[0]
        if self._copy is None or self._copy.device != parts[0].device:
            self._copy = torch.empty(sum(self._counts), dtype=parts[0].dtype, device=parts[0].device)
        return torch.cat(parts, out=self._copy)


class Buckets:
    """The gradients of a net, averaged over the ranks once an iteration.

    `start`, then `layer_done` for each layer that goes backward, `passes` times, then `finish`.

    Args:
        plan: of the net.
        blobs: what it learns, in the order of `plan.learnable`.
        passes: forward and backward passes of an iteration; gradients are whole after the last.
        size: bytes that a bucket holds at most, unless one gradient has more.
    """

    def __init__(self, plan: Plan, blobs: Sequence[Blob], passes: int, size: int) -> None:
        self._passes = passes
        self._buckets = [
            Bucket([blobs[number] for number in numbers], awaited)
            for numbers, awaited in laid_out(plan, [blob.count for blob in blobs], size)
        ]
        self._sent: int | None = None  # how many have set off; None between iterations

    def __len__(self) -> int:
        return len(self._buckets)

    @property
    def sent(self) -> int:
        """How many of them have set off in this iteration."""
        return self._sent or 0

    def start(self) -> None:
        """An iteration begins."""
        for bucket in self._buckets:
            bucket.await_gradients(self._passes)
        self._sent = 0

    def layer_done(self, layer: int, group: Group) -> None:
        """A layer has gone backward: send what is whole now."""
        if self._sent is None:
            return
        for bucket in self._buckets[self._sent :]:
            bucket.layer_done(layer)
        while self._sent < len(self._buckets) and self._buckets[self._sent].whole:
            self._send(group)

    def finish(self, group: Group) -> None:
        """Send what is left, wait for all of it, and leave the means in the diffs."""
        if self._sent is None:
            self.start()
        while self._sent is not None and self._sent < len(self._buckets):
            self._send(group)
        self._sent = None
        for bucket in self._buckets:
            bucket.settle(group)

    def _send(self, group: Group) -> None:
        assert self._sent is not None
        self._buckets[self._sent].set_off(group)
        self._sent += 1


def laid_out(plan: Plan, counts: Sequence[int], size: int) -> list[tuple[list[int], Counter[int]]]:
    """For each bucket the numbers of its parameters, and how many of them each layer adds to.

    A parameter that no layer computes a gradient of stays at home: its diff is zero everywhere.

    Args:
        counts: numbers in each of `plan.learnable`.
        size: bytes that a bucket holds at most, unless one gradient has more.
    """
    layers: dict[int, list[int]] = {}  # of each parameter that learns, those that add to its gradient
    owners = [number for number, parameter in enumerate(plan.parameters) if parameter.owner is None]
    for number, parameter in enumerate(plan.parameters):
        planned = plan.layers[parameter.layer]
        if planned.runs_backward and planned.param_flags[parameter.index]:
            owner = number if parameter.owner is None else parameter.owner
            layers.setdefault(owners.index(owner), []).append(parameter.layer)
    found: list[tuple[list[int], Counter[int]]] = []
    room = 0
    for number in sorted(layers, key=lambda number: -min(layers[number])):
        if not found or counts[number] * 4 > room:
            found.append(([], Counter()))
            room = size
        numbers, awaited = found[-1]
        numbers.append(number)
        awaited.update(layers[number])
        room -= counts[number] * 4
    return found
