"""Forward passes replayed from CUDA graphs: the host starts one thing instead of every kernel.

A graph is what a device did in one pass, with the addresses that it read and wrote. It is recorded from the
layers themselves, so that it computes what they do; whatever they ask the host meanwhile ends the recording,
and the net runs as before. Source: CUDA C++ Programming Guide, "CUDA Graphs"; `torch.cuda.graph`.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable
from contextlib import ExitStack

import torch

from .. import device
from ..graph.plan import LayerPlan
from ..layer import Layer
from ..log import log
from ..reference import ReferencePath
from ..registry import is_built_in

BEFORE = 2  #: passes that run as ever before one is recorded: libraries get ready in them, and choose
MOST = 4  #: graphs of a net, for inputs of so many shapes; each holds memory for all of its blobs

Run = Callable[[], object]


def available() -> bool:
    """Whether the current device has graphs, and they are asked for."""
    return device.graphs() and device.current().type == "cuda"


def record(run: Run) -> Run:
    """What does on the device what `run` would have done there, from and to the same memory.

    `run` computes nothing while it is recorded.

    Raises:
        RuntimeError: it waits for the device, or does something else that a graph cannot hold.
    """
    graph = torch.cuda.CUDAGraph()
    # Other threads may use the device meanwhile.
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        run()
    return graph.replay


def suits(planned: LayerPlan, layer: Layer) -> bool:
    """Whether a layer's forward does the same each time, and all of it on the device.

    Losses and what else reads labels are left out: the host checks the labels.
    """
    outside = layer.brings_data or layer.reshape_reads_values or layer.label_bottoms or layer.is_loss
    differs = layer.draws_random or layer.carries_state or layer.tops_are_params
    plain = is_built_in(type(layer)) and planned.type != "Python" and not any(planned.loss_weights)
    return plain and not (outside or differs)


class Replays:
    """The forward passes of a net: those that come again are recorded, and replayed.

    Args:
        net: the net; it is not kept.
    """

    def __init__(self, net: ReferencePath) -> None:
        self.layers, self.blobs, self.steps, self.layout = net.layers, net.blobs, net.steps, net.layout
        self.inputs = [net.blobs[number] for number in net.plan.inputs]
        made = {number for planned in net.plan.layers if planned.bottoms for number in planned.tops}
        self.made = [net.blobs[number] for number in sorted(made)]
        self.parameters = [blob for layer in net.layers for blob in layer.blobs]
        self._can = all(map(suits, net.plan.layers, net.layers))
        self._weights: list[int] = []
        self._seen: Counter[Hashable] = Counter()
        self._kept: OrderedDict[Hashable, _Recording] = OrderedDict()

    def forward(self, run: Run) -> None:
        """Do what `run` does, which is the net's forward pass."""
        if not self._can:
            run()
            return
        self._follow_weights()
        shapes = tuple(blob.dims for blob in self.inputs)
        key = shapes, device.current(), device.dtype(), device.precision()
        if key not in self._kept and self._seen[key] >= BEFORE:
            self._record(key, run)
        if key in self._kept:
            self._kept.move_to_end(key)
            self._kept[key].replay()
            return
        self._seen[key] += 1
        run()

    def _follow_weights(self) -> None:
        """Forget what was recorded over weights that are elsewhere now."""
        weights = self.addresses()
        if weights != self._weights:
            self._weights = weights
            self._kept.clear()
            self._seen.clear()

    def addresses(self) -> list[int]:
        """Where the parameters are."""
        return [blob.data_memory.read().data_ptr() for blob in self.parameters]

    def _record(self, key: Hashable, run: Run) -> None:
        try:
            self._kept[key] = _Recording(self, run)
        except RuntimeError as error:
            self._can = False
            self._kept.clear()
            log.info("running layer by layer and not from a CUDA graph: %s", error)
            return
        if len(self._kept) > MOST:
            self._kept.popitem(last=False)


class _Recording:
    """A forward pass over inputs of fixed shapes, as a graph over memory of its own."""

    def __init__(self, net: Replays, run: Run) -> None:
        self._net, self._version = net, net.layout.version
        memories = {id(blob.data_memory): blob.data_memory for blob in (*net.blobs, *net.parameters)}
        with ExitStack() as stack:
            for memory in memories.values():
                stack.enter_context(memory.set_aside())
            self._inputs = [(blob, blob.value) for blob in net.inputs]
            weights = net.addresses()
            self._graph = record(run)
            if net.addresses() != weights:
                raise RuntimeError("a layer replaces its parameters")
            made = [(blob, blob.data_memory.peek()) for blob in net.made]
            self._made = [(blob, values) for blob, values in made if values is not None]
            self._saved = [(layer, layer.saved) for layer in net.layers]

    def replay(self) -> None:
        """Run it on what the inputs hold now; the blobs hold its results."""
        layout = self._net.layout
        if layout.version != self._version:
            for step in self._net.steps:
                step.reshape()
            self._version = layout.version
        for blob, place in self._inputs:
            values = blob.value
            if values.data_ptr() != place.data_ptr():
                place.copy_(values)
        self._graph()
        for layer, saved in self._saved:
            layer.saved = saved
        for blob, values in self._made:
            blob.data_memory.adopt(values)
