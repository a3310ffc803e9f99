"""Passes of small nets as lists of calls: what costs time there is to find out, each time, what to call.

A tape holds the calls that the passes of a net come to, with their arguments. It is good while no shape and
no memory of the net changes: both are looked at before each pass, and what is written into the memory counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import NamedTuple

import numpy as np
import torch

from ..blob import Blob
from ..layer import Call
from ..memory import Memory
from ..naming import raise_named
from ..reference import ReferencePath, Step
from ..registry import is_built_in

#: How often a pass is recorded for the same shapes, before it is given up.
CHANCES = 4
Place = tuple[Memory, torch.Tensor]  #: a memory, and the tensor that it is to have


class Moved(Exception):
    """A memory is not where it was, or holds nothing that could be kept."""


class _Part(NamedTuple):
    """What a layer does in a pass."""

    number: int
    calls: Sequence[Call]
    diffs: Sequence[Memory] = ()  #: of parameters, that the calls write in the place of zeros
    left: Sequence[Place] | None = None  #: of a layer that is run as ever: where its results have to be


class Tape:
    """The passes of a net whose last pass ran layer by layer, at the present shapes.

    Raises:
        Moved: what a blob holds has no place that it keeps.
    """

    def __init__(self, net: ReferencePath) -> None:
        # Not `net` itself, which holds the tape: a net that nobody holds is let go at once.
        self._steps, self._layout, self._version = net.steps, net.layout, net.layout.version
        self._no_grad = any(not is_built_in(type(step.layer)) for step in net.steps)
        self._forward = [self._forward_part(number, step) for number, step in enumerate(net.steps)]
        self._read = _places([blob for step in net.steps for blob in _all_blobs(step)])
        losses = [blob for step in net.steps for blob in step.losses]
        self._losses = [_loss(blob) for blob in losses]
        self._read += [(blob.diff_memory, _place(blob.diff_memory)) for blob in losses]
        self._backward: list[_Part] | None = None
        self._chances = CHANCES
        self._read_backward: list[Place] = []
        self._zero: list[Place] = []

    # ---- recording ---------------------------------------------------------------------------

    def _forward_part(self, number: int, step: Step) -> _Part:
        calls = step.layer.forward_calls(step.bottom, step.top) if step.follows_layout else None
        if calls is not None:
            return _Part(number, calls)
        return _Part(number, [step.run], left=_places(step.top))

    def learn_backward(self) -> None:
        """Learn the backward pass that has just run layer by layer, unless it is known or cannot be."""
        if self._backward is None and self._chances:
            self._chances -= 1
            with suppress(Moved):
                self._record_backward()

    def _record_backward(self) -> None:
        numbered = [pair for pair in enumerate(self._steps) if pair[1].runs_backward]
        parts = [self._backward_part(number, step) for number, step in reversed(numbered)]
        written = [memory for part in parts for memory in part.diffs]
        if len(set(map(id, written))) < len(written):  # a gradient that two layers add to
            raise Moved
        steps = [step for _, step in numbered]
        diffs = [blob.diff_memory for step in steps for blob in (*step.top, *_wanted(step)) if blob.count]
        self._read_backward = self._read + [(memory, _place(memory)) for memory in _once(diffs)]
        self._zero = [(memory, _place(memory)) for memory in written]
        self._backward = parts

    def _backward_part(self, number: int, step: Step) -> _Part:
        calls = None
        if step.follows_layout:
            calls = step.layer.backward_calls(step.top, step.propagate_down, step.bottom)
        if calls is None:
            left = [(blob.diff_memory, _place(blob.diff_memory)) for blob in _wanted(step) if blob.count]
            return _Part(number, [step.backward], left=left)
        flags = zip(step.layer.blobs, step.layer.param_flags)
        return _Part(number, calls, [blob.diff_memory for blob, wanted in flags if wanted])

    # ---- running -----------------------------------------------------------------------------

    def forward(self) -> float | None:
        """Run all layers; returns the weighted sum of their losses.

        None: nothing is done, the tape is void.
        """
        if self._layout.version != self._version or not _in_place(self._read):
            return None
        with self._without_grad():
            if not self._run(self._forward):
                return self._layer_by_layer_loss()
        total = None
        for value, weight in self._losses:
            part = value[0] * weight[0]
            total = part if total is None else total + part
        return 0.0 if total is None else 0.0 + float(total)

    def backward(self) -> bool:
        """Run all layers backward, or return False: nothing is done."""
        if self._backward is None or self._layout.version != self._version:
            return False
        for memory, tensor in self._zero:
            if memory.veiled is not tensor:  # there is something to add to
                self._still(memory.veiled is None and memory.settled is tensor)
                return False
        if not self._still(_in_place(self._read_backward)):
            return False
        with self._without_grad():
            self._run(self._backward)
        return True

    def _still(self, in_place: bool) -> bool:
        if not in_place:
            self._backward = None
        return in_place

    def _without_grad(self) -> AbstractContextManager[object]:
        return torch.no_grad() if self._no_grad else nullcontext()

    def _run(self, parts: Sequence[_Part]) -> bool:
        """Run parts; False if the last ones ran layer by layer, as results of one are elsewhere now."""
        done = 0
        try:
            for _, calls, diffs, left in parts:
                for memory in diffs:
                    memory.unveil()
                for call in calls:
                    call()
                done += 1
                if left is not None and not (self._layout.version == self._version and _in_place(left)):
                    break
            else:
                return True
        except (RuntimeError, MemoryError) as error:
            raise_named(self._steps[parts[done].number].param, error)
        for part in parts[done:]:
            step = self._steps[part.number]
            (step.run if parts is self._forward else step.backward)()
        return False

    def _layer_by_layer_loss(self) -> float:
        parts = [part for step in self._steps if (part := step.loss()) is not None]
        return 0.0 + float(sum(parts[1:], parts[0])) if parts else 0.0


def _all_blobs(step: Step) -> list[Blob]:
    return [*step.bottom, *step.top, *step.layer.blobs]


def _wanted(step: Step) -> list[Blob]:
    """The bottoms that get a gradient."""
    return [blob for blob, wanted in zip(step.bottom, step.propagate_down) if wanted]


def _once(memories: Sequence[Memory]) -> list[Memory]:
    return list({id(memory): memory for memory in memories}.values())


def _places(blobs: Sequence[Blob]) -> list[Place]:
    return [(memory, _place(memory)) for memory in _once([blob.data_memory for blob in blobs if blob.count])]


def _place(memory: Memory) -> torch.Tensor:
    if memory.promised or memory.veiled is not None:
        raise Moved
    return memory.read()


def _in_place(places: Sequence[Place]) -> bool:
    for memory, tensor in places:  # noqa: SIM110  in half the time of all()
        if memory.settled is not tensor:
            return False
    return True


def _loss(blob: Blob) -> tuple[np.ndarray, np.ndarray]:
    """Value and weight of a loss."""
    if blob.count != 1:
        raise Moved
    return _place(blob.data_memory).numpy(), _place(blob.diff_memory).numpy()
