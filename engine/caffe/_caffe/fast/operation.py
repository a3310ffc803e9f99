"""Operation: what the fast path runs in place of one layer, or of several that follow one another."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

import torch

from ..blob import Blob, Layout, make_blob
from ..graph.plan import LayerPlan
from ..layer import Layer
from ..machine.workers import Job, Jobs, workers
from ..memory import Memory
from ..reference import ReferencePath, Step
from .parameters import contents
from .planes import Plane, PlaneLayout

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Kept(Generic[K, V]):
    """The latest results of a function of one argument, a bounded number of them.

    It is told the function when it is asked for a result, not before: whoever kept one for its own method
    would be part of a circle, and with it a net that nobody holds any more would keep its memory.
    """

    def __init__(self, bound: int = 16) -> None:
        self._bound = bound
        self._found: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K, make: Callable[[K], V]) -> V:
        """`make(key)`, now or at an earlier time."""
        if key in self._found:
            self._found.move_to_end(key)
            return self._found[key]
        made = self._found[key] = make(key)
        if len(self._found) > self._bound:
            self._found.popitem(last=False)
        return made


class Room:
    """Memory that is kept from pass to pass."""

    def __init__(self) -> None:
        self._memory = torch.empty(0)

    def get(self, count: int) -> torch.Tensor:
        """`count` numbers, of any value."""
        if self._memory.numel() < count:
            self._memory = torch.empty(count)
        return self._memory[:count]


class Recipe:
    """How blobs between the layers of a chain are made when somebody reads them: by the layers themselves.

    It knows no blob of the net, so that a promise in one does not keep the net alive.

    Args:
        plans, layers: of the chain, in the order they would run.
        bottoms: what the chain reads.
    """

    def __init__(self, plans: Sequence[LayerPlan], layers: Sequence[Layer], bottoms: Sequence[int]) -> None:
        self._plans, self._layers, self._bottoms = tuple(plans), tuple(layers), tuple(bottoms)

    @property
    def memories(self) -> list[Memory]:
        """Of the layers' parameters."""
        return [blob.data_memory for layer in self._layers for blob in layer.blobs]

    def parameters(self) -> Hashable:
        """Equal to an earlier result as long as nobody changed a parameter."""
        return tuple(memory.state(contents) for memory in self.memories)

    def values(self, wanted: int, bottoms: Sequence[torch.Tensor]) -> torch.Tensor:
        """What blob `wanted` would hold, for these values of the bottoms."""
        blobs: dict[int, Blob] = {}
        for number, values in zip(self._bottoms, bottoms):
            blobs[number] = make_blob(values.shape)
            blobs[number].put(values)
        for planned in self._plans:
            blobs.setdefault(planned.tops[0], make_blob())
        last = max(n for n, planned in enumerate(self._plans) if wanted in planned.tops)
        with torch.no_grad():
            for planned, layer in list(zip(self._plans, self._layers))[: last + 1]:
                Step(planned, layer, blobs, Layout()).forward()
        for layer in self._layers:
            layer.saved = None
        return blobs[wanted].value.clone()


class Chain:
    """Layers that an operation stands for, in the order they would run.

    Args:
        net: that they are part of.
        numbers: of the layers in the plan.
        beside: blobs that a later layer of the chain reads besides what the one before it made.
    """

    def __init__(self, net: ReferencePath, numbers: Sequence[int], beside: Sequence[int] = ()) -> None:
        plan, blobs = net.plan, net.blobs
        self._blobs, self.numbers = blobs, tuple(numbers)
        self._plans = [plan.layers[number] for number in numbers]
        self.layers = [net.layers[number] for number in numbers]
        self.bottoms = (*plan.layers[numbers[0]].bottoms, *beside)
        self.recipe = Recipe(self._plans, self.layers, self.bottoms)
        self.top = plan.layers[numbers[-1]].tops[0]
        #: the blobs between the first and the last layer that no other layer reads
        self.skipped = tuple({plan.layers[number].tops[0] for number in numbers} - {self.top})
        #: how often layers of the chain read the top: those in place do
        self.rereads = sum(planned.bottoms.count(self.top) for planned in self._plans)
        self._steps = [net.steps[number] for number in numbers]

    def made(self, index: int) -> tuple[int, ...]:
        """The present shape of what layer `index` of the chain makes."""
        return self._blobs[self._plans[index].tops[0]].dims

    def reshape(self) -> None:
        """Give all tops their shapes for the present ones of the bottoms."""
        for step in self._steps:
            step.reshape()

    def forget(self) -> None:
        """What the layers kept of an earlier forward is no longer so."""
        for layer in self.layers:
            layer.saved = None

    def forward(self) -> torch.Tensor | float:
        """Run the layers themselves; returns their part of the loss."""
        parts = [step.forward() for step in self._steps]
        return sum((part for part in parts if part is not None), 0.0)


class Operation(ABC):
    """Makes the plane of a chain's top from those of its bottoms, in memory kept from pass to pass."""

    #: Where a bottom of fewer channels than a vector has lanes is taken as it is, not filled up: how many
    #: columns of zeros it wants beside it; else 0.
    narrow_margin = 0
    #: Whether rows and columns that are equal by how they are made are made once.
    compact = True
    #: Whether it gains only where a bottom is a plane already.
    light = False

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.plane = Plane()
        self._seen: tuple[PlaneLayout, ...] = ()

    @property
    def made(self) -> tuple[int, ...]:
        """The present shape of the plane's map."""
        return self.chain.made(-1)

    def prepare(self, planes: Sequence[Plane]) -> bool:
        """Get ready to compute `plane` from those of the bottoms; False if there is nothing to compute."""
        layouts = tuple(plane.layout for plane in planes)
        if layouts != self._seen or self.made != self.plane.layout.dims:
            self._seen = ()
            self.chain.reshape()
            if 0 in self.made:
                return False
            self.lay_out(layouts)
            self._seen = layouts
        self.chain.forget()
        return True

    def suits(self, layouts: Sequence[PlaneLayout]) -> bool:
        """Whether bottoms of these layouts can be worked on."""
        return True

    @abstractmethod
    def lay_out(self, layouts: Sequence[PlaneLayout]) -> None:
        """Get ready for bottoms of these layouts, and lay out `plane`; the blobs have their shapes."""

    def jobs(self, planes: Sequence[Plane]) -> list[Job] | None:
        """What fills `plane` if done, now or later, where that is the work of kernels alone; else None."""
        return None

    def compute(self, planes: Sequence[Plane]) -> None:
        """Fill `plane`."""
        jobs = self.jobs(planes)
        assert jobs is not None
        workers.do(Jobs(jobs))
