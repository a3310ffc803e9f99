"""Activation checkpointing (Chen et al., arXiv:1604.06174): less memory, for one more forward pass.

The layers of a net are cut into segments. After a segment's forward its inner blobs are dropped, and what its
layers kept for backward with them; only what later segments read stays. Before a segment goes backward it
runs forward once more, with the random numbers of the first time, so that its gradients are the same to the
bit.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable, Iterable, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from typing import Protocol

import torch

from . import device, rounding
from .blob import Blob
from .errors import CaffeError
from .graph.plan import LayerPlan
from .graph.segments import Cut, segments
from .layer import Layer
from .memory import Memory
from .reference import ReferencePath
from .registry import is_built_in

_MEND = "read it before, or turn caffe.set_checkpointing off"


class Part(Protocol):
    """What runs one layer, or several that follow one another."""

    runs_backward: bool

    def forward(self) -> torch.Tensor | float | None:
        """Compute the tops; returns the layers' part of the loss."""

    def backward(self) -> None:
        """Compute the gradients."""


class Parts:
    """What a net is run by: each layer by itself.

    Args:
        net: the net.
    """

    def __init__(self, net: ReferencePath) -> None:
        self.all: Sequence[tuple[Sequence[int], Part]] = [((n,), step) for n, step in enumerate(net.steps)]

    def dropped(self, blobs: Iterable[int]) -> None:
        """The data of these blobs, and of those that share it, are not needed any more."""

    def dropped_diffs(self, blobs: Iterable[int]) -> None:
        """Nor are these diffs."""


class Segment:
    """Layers in a row that can be run again.

    Args:
        net: that they are part of.
        cut: its layers and inner blobs.
        parts: that run the net.
    """

    def __init__(self, net: ReferencePath, cut: Cut, parts: Parts) -> None:
        plans = [net.plan.layers[number] for number in cut.layers]
        self._layers = [net.layers[number] for number in cut.layers]
        runs = [(numbers, part) for numbers, part in parts.all if numbers[0] in cut.layers]
        self._parts, self._all, self._cut = [part for _, part in runs], parts, cut
        written = dict.fromkeys(top for planned in plans for top in planned.tops)
        read = dict.fromkeys(bottom for planned in plans for bottom in planned.bottoms)
        self._written = _named(net, written)
        self._inner = [blob for _, blob in _named(net, cut.inner)]
        outer = _named(net, (number for number in read if number not in written))
        self._outer = [blob for _, blob in outer]
        #: by each part, the blobs that none before it wrote
        self._made: list[list[int]] = []
        self._blobs = dict(zip(written, self._written))
        for numbers, _ in runs:
            tops = dict.fromkeys(top for number in numbers for top in net.plan.layers[number].tops)
            self._made.append([top for top in tops if written.pop(top, self) is None])
        self._sources = [(f"blob '{name}'", blob) for name, blob in outer]
        self._sources += [(f"a parameter of layer '{planned.name}'", blob)
                          for planned, layer in zip(plans, self._layers) for blob in layer.blobs]  # fmt: skip
        self._draws = any(layer.draws_random for layer in self._layers)
        self._random: torch.Tensor | None = None
        self._marks: list[Hashable] = []
        self._whole = True

    def forward(self) -> None:
        """Run the layers forward."""
        self.forget()
        self._random = device.generator().get_state() if self._draws else None
        for part in self._parts:
            part.forward()

    def forget(self) -> None:
        """What was dropped is not needed any more: the layers are about to write it anew."""
        self._forget_data()
        self.forget_diffs()

    def _forget_data(self) -> None:
        self._whole = True
        for _, blob in self._sources:
            blob.data_memory.unwatch(id(self))
        _forget(blob.data_memory for blob in self._inner)

    def forget_diffs(self) -> None:
        """The diffs are about to be written."""
        _forget(blob.diff_memory for _, blob in self._written)

    def drop(self, watch: bool = True) -> None:
        """Let go of the inner blobs; whoever reads one makes the segment run again.

        Blobs that somebody holds an array over stay.

        Args:
            watch: whether it also runs again before an array is handed out through which somebody could
                change what the blobs are made of. Without that they may turn out to be lost.
        """
        self._marks = [blob.data_memory.mark() for _, blob in self._sources]
        self._whole = False
        for layer in self._layers:
            layer.saved = None
        if watch:
            for _, blob in self._sources:
                blob.data_memory.watch(id(self), partial(_look_out, weakref.ref(self)))
        for number, blob in enumerate(self._inner):
            if not blob.data_memory.exported:
                blob.data_memory.promise(partial(_again, weakref.ref(self), number), blob.count)
        self._all.dropped(self._cut.inner)

    def _drop_diffs(self, at: int) -> None:
        """Let go of the diffs of what part `at` made, unless it shares them with what was there before."""
        before = [*self._outer, *(self._blobs[number][1] for made in self._made[:at] for number in made)]
        needed = {id(blob.diff_memory) for blob in before}
        free = [number for number in self._made[at] if id(self._blobs[number][1].diff_memory) not in needed]
        for name, blob in (self._blobs[number] for number in free):
            if not blob.diff_memory.exported:
                blob.diff_memory.promise(partial(_refuse, name), blob.count)
        self._all.dropped_diffs(free)

    def restore(self) -> None:
        """Run forward again, if the segment was dropped since.

        Raises:
            CaffeError: what it reads may have been changed since then.
        """
        if self._whole:
            return
        for (name, blob), mark in zip(self._sources, self._marks):
            blob.data_memory.unwatch(id(self))
            if blob.data_memory.mark() != mark:
                raise CaffeError(
                    f"this blob was dropped after the forward pass and cannot be made again: {name} was "
                    f"written since then, or an array was taken to write through; {_MEND}"
                )
        with torch.no_grad(), rounding.switched():
            self._run_again()

    def _run_again(self) -> None:
        kept = self._kept()
        self._forget_data()
        now = device.generator().get_state() if self._draws else None
        if self._random is not None:
            device.generator().set_state(self._random)
        for layer in self._layers:
            layer.again = True
        try:
            with ExitStack() as stack:
                for memory in kept:
                    stack.enter_context(memory.preserved())
                for part in self._parts:
                    part.forward()
        finally:
            for layer in self._layers:
                layer.again = False
            if now is not None:
                device.generator().set_state(now)

    def _kept(self) -> list[Memory]:
        """What the layers write and was not dropped."""
        written = {id(blob.data_memory): blob.data_memory for _, blob in self._written}
        dropped = {id(blob.data_memory) for blob in self._inner if blob.data_memory.promised}
        return [memory for key, memory in written.items() if key not in dropped]

    def made(self, number: int) -> torch.Tensor:
        """Inner memory `number`, whole."""
        self.restore()
        return self._inner[number].data_memory.read()

    def backward(self) -> None:
        """Run the layers backward that have to, and let go of what that made except parameters' gradients."""
        if not any(part.runs_backward for part in self._parts):
            return
        self.restore()
        for at in range(len(self._parts) - 1, -1, -1):
            if self._parts[at].runs_backward:
                self._parts[at].backward()
            self._drop_diffs(at)
        self.drop(watch=False)


def _forget(memories: Iterable[Memory]) -> None:
    for memory in memories:
        if memory.promised:
            memory.zero()


def _named(net: ReferencePath, numbers: Iterable[int]) -> list[tuple[str, Blob]]:
    return [(net.plan.blob_names[number], net.blobs[number]) for number in numbers]


def _look_out(segment: Callable[[], Segment | None]) -> None:
    found = segment()
    if found is not None:
        with suppress(CaffeError):  # which is for whoever reads what is lost
            found.restore()


def _again(segment: Callable[[], Segment | None], number: int) -> torch.Tensor:
    found = segment()
    if found is None:
        raise CaffeError(f"this blob was dropped after the forward pass, and its net is gone: {_MEND}")
    return found.made(number)


def _refuse(name: str) -> torch.Tensor:
    raise CaffeError(
        f"the diff of blob '{name}' was dropped in the backward pass: to read it, turn "
        "caffe.set_checkpointing off"
    )


class CheckpointedPath:
    """Whole passes of a net that is trained, by segments.

    Args:
        net: its plan, layers and blobs.
        parts: what it is run by.
    """

    def __init__(self, net: ReferencePath, parts: Parts) -> None:
        apart = {number for numbers, _ in parts.all for number in numbers if not _in_place(net, numbers)}
        again = [number not in apart and _may_run_again(*each)
                 for number, each in enumerate(zip(net.plan.layers, net.layers))]  # fmt: skip
        sizes, memories = zip(*((blob.count, id(blob.data_memory)) for blob in net.blobs))
        cuts = segments(net.plan, sizes, memories, again)
        segment_at = {cut.layers.start: Segment(net, cut, parts) for cut in cuts}
        inside = {number for cut in cuts for number in cut.layers}
        self._parts: list[Segment | Part] = []
        for numbers, part in parts.all:
            if numbers[0] in segment_at:
                self._parts.append(segment_at[numbers[0]])
            elif numbers[0] not in inside:
                self._parts.append(part)
        self._segments = [part for part in self._parts if isinstance(part, Segment)]

    def forward(self) -> torch.Tensor | float:
        """Run all layers; returns the weighted sum of their losses."""
        loss: torch.Tensor | float = 0.0
        with torch.no_grad(), rounding.switched():
            for part in self._parts:
                made = part.forward()
                if made is not None:
                    loss = loss + made
                if isinstance(part, Segment) and part is not self._segments[-1]:
                    part.drop()  # the last one goes backward at once
        return loss

    def backward(self) -> None:
        """Run all layers backward."""
        for segment in self._segments:
            segment.forget_diffs()
        with torch.no_grad(), rounding.switched():
            for part in reversed(self._parts):
                if isinstance(part, Segment) or part.runs_backward:
                    part.backward()

    def forget(self) -> None:
        """Other passes are about to run: what was dropped is not needed."""
        for segment in self._segments:
            segment.forget()

    def restore(self) -> None:
        """Make all that was dropped."""
        for segment in self._segments:
            segment.restore()


def _in_place(net: ReferencePath, numbers: Sequence[int]) -> bool:
    """Whether layers that run as one make one blob, so that no segment ends between them."""
    return len({net.plan.layers[number].tops for number in numbers}) == 1


def _may_run_again(planned: LayerPlan, layer: Layer) -> bool:
    """Whether running a layer once more does nothing but make the same tops again."""
    outside = layer.brings_data or layer.is_input or layer.reshape_reads_values or layer.carries_state
    plain = is_built_in(type(layer)) and planned.type != "Python"
    judges = layer.is_loss or layer.label_bottoms or any(planned.loss_weights)
    return plain and bool(planned.bottoms and planned.tops) and not (outside or judges)
