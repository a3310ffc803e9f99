"""What a built net takes before it runs: parameters, multiply-adds, memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from .. import device
from ..blob import Blob

if TYPE_CHECKING:
    from ..graph.plan import Plan
    from ..layer import Layer
    from ..memory import Memory


@dataclass(frozen=True)
class LayerCost:
    """One layer: the shapes of its tops, numbers it learns, multiply-adds of one forward, new bytes."""

    name: str
    type: str
    tops: tuple[tuple[str, tuple[int, ...]], ...]
    params: int
    macs: int
    memory: int


@dataclass(frozen=True)
class Footprint:
    """A whole net, in bytes where nothing else is said.

    `data` are the blobs, memory that several share counted once; `diffs` the gradients that a backward
    pass makes of them; `params` the parameters. Training keeps a gradient and `histories` numbers of the
    solver beside each parameter. What a layer keeps for its backward
    (`Layer.saves`: masks, indices) is not known before a forward and not counted.
    """

    layers: tuple[LayerCost, ...]
    learned: int  # numbers, not bytes
    macs: int
    data: int
    diffs: int
    params: int

    @property
    def testing(self) -> int:
        """What forward alone needs."""
        return self.data + self.params

    def training(self, histories: int = 1) -> int:
        """What a solver needs; SGD has one number of history a parameter, Adam and AdaDelta two."""
        return self.data + self.diffs + self.params * (2 + histories)


def net_footprint(plan: Plan, layers: Sequence[Layer], blobs: Sequence[Blob]) -> Footprint:
    """The footprint of a net at the shapes its blobs have now; nothing is run or allocated."""
    owned = [layers[parameter.layer].blobs[parameter.index] for parameter in plan.learnable]
    data, params = _Once(blob.data_memory for blob in owned), _Once()
    costs = []
    for planned, layer in zip(plan.layers, layers):
        tops = [blobs[number] for number in planned.tops]
        # Such a top becomes the parameter itself at the first forward.
        fresh = [] if layer.tops_are_params else [*tops, *_own_blobs(layer)]
        costs.append(
            LayerCost(
                name=planned.name,
                type=planned.type,
                tops=tuple((plan.blob_names[number], blobs[number].dims) for number in planned.tops),
                params=params.add(blob.data_memory for blob in layer.blobs),
                macs=layer.multiply_adds([blobs[number] for number in planned.bottoms], tops),
                memory=data.add(blob.data_memory for blob in fresh) * _item(),
            )
        )
    return Footprint(
        layers=tuple(costs),
        learned=params.total,
        macs=sum(cost.macs for cost in costs),
        data=data.total * _item(),
        diffs=_diffs(plan, owned, blobs) * _item(),
        params=params.total * _item(),
    )


class _Once:
    """Counts the numbers in memories, each memory once, and those in `without` not at all."""

    def __init__(self, without: Iterable[Memory] = ()) -> None:
        self._seen = {id(memory) for memory in without}
        self.total = 0

    def add(self, memories: Iterable[Memory]) -> int:
        """How many numbers `memories` hold that were not counted before."""
        before = self.total
        for memory in memories:
            if id(memory) not in self._seen:
                self._seen.add(id(memory))
                self.total += memory.size
        return self.total - before


def _diffs(plan: Plan, owned: Iterable[Blob], blobs: Sequence[Blob]) -> int:
    count = _Once(blob.diff_memory for blob in owned)
    for layer in plan.layers:
        if layer.runs_backward:
            flagged = [number for number, flag in zip(layer.bottoms, layer.propagate_down) if flag]
            count.add(blobs[number].diff_memory for number in [*layer.tops, *flagged])
    return count.total


def _own_blobs(layer: Layer) -> Iterator[Blob]:
    for value in vars(layer).values():
        if isinstance(value, Blob):
            yield value
        elif isinstance(value, list) and value is not layer.blobs:
            yield from (item for item in value if isinstance(item, Blob))


def _item() -> int:
    return torch.empty((), dtype=device.dtype()).element_size()
