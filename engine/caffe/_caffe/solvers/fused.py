"""The parameters of a net updated in few operations: small ones together, each large one on its own.

The numbers are those of an update parameter by parameter: nothing in it mixes elements. On the host an update
goes over memory once where there is compiled code: what it waits for is memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from .. import device
from ..errors import SolverError
from ..fast.choice import chosen
from ..memory import zeros
from . import updates

if TYPE_CHECKING:
    from ...proto.caffe_pb2 import SolverParameter
    from ..blob import Blob
    from ..graph.plan import Parameter
    from .compiled import Steps

#: Above this many numbers an operation costs more than its call: a parameter is updated on its own, and where
#: there is compiled code all go with it.
_SMALL = 1 << 16
_ALIGNED = 16  #: numbers of a cache line, which each parameter starts with where several share memory
#: The rules under which the history of a parameter that does not learn stays zero, and so does its update.
_RESTING = (updates.sgd, updates.nesterov)


class Updates:
    """The updates of all learnable parameters of a net.

    Args:
        parameters, blobs: what a solver learns, in the order of the plan.
        rule: how a gradient becomes an update.
        histories: how many numbers the rule keeps for each one learned.
    """

    def __init__(
        self, parameters: Sequence[Parameter], blobs: Sequence[Blob], rule: updates.Rule, histories: int
    ) -> None:
        self._groups = [
            _Group([blobs[number] for number in numbers], parameters[numbers[0]], rule, histories)
            for numbers in _grouped(parameters, blobs)
        ]
        self._rule, self._large = rule, any(group.count > _SMALL for group in self._groups)
        places = {id(blob): place for group in self._groups for blob, place in group.places()}
        #: For each parameter its history, of the parameter's shape.
        self.history: list[list[Tensor]] = [places[id(blob)] for blob in blobs]

    def history_changed(self) -> None:
        """Tell that somebody has written into `history`."""
        for group in self._groups:
            group.history_changed()

    def apply(self, param: SolverParameter, rate: float, iteration: int) -> None:
        """Turn the gradients in the diffs into updates, and subtract these from the data.

        Raises:
            SolverError: no such regularization type.
        """
        kind = param.regularization_type
        if kind not in ("L1", "L2") and any(group.decay(param) for group in self._groups):
            raise SolverError(f"Unknown regularization type: {kind}; known: L2, L1")
        done = self._in_one_go(param, rate, iteration)
        left = [group for group in self._groups if group not in done]
        for group in left:
            group.compute(param, rate, iteration)
        for group in left:
            group.subtract()

    def _in_one_go(self, param: SolverParameter, rate: float, iteration: int) -> Sequence[_Group]:
        """Update what compiled code can, if that pays; returns these groups."""
        if not self._large or device.current() is not device.HOST or chosen() == "reference":
            return []
        found = [(group, tensors) for group in self._groups if (tensors := group.in_lines(param))]
        if not found or self._steps is None:
            return []
        parts = [(tensors, group.rate(rate), group.decay(param)) for group, tensors in found]
        self._steps.take(param, parts, iteration)
        done = [group for group, _ in found]
        for group in done:
            group.finish(param, rate, iteration)
        return done

    @cached_property
    def _steps(self) -> Steps | None:
        """Compiled code for the rule, if there is Numba."""
        try:
            from .compiled import Steps
        except ImportError:
            return None
        return Steps(self._rule)


def _grouped(parameters: Sequence[Parameter], blobs: Sequence[Blob]) -> Iterable[list[int]]:
    """The numbers of the parameters that are updated together."""
    groups: dict[tuple[float, ...], list[int]] = {}
    for number, (parameter, blob) in enumerate(zip(parameters, blobs)):
        alone = (number,) if blob.count > _SMALL else ()
        groups.setdefault((parameter.lr_mult, parameter.decay_mult, *alone), []).append(number)
    return groups.values()


class _Group:
    """Parameters with the multipliers of `parameter`, their histories side by side.

    On the host their data are kept side by side too, and their diffs, so that no number has to be moved for
    an update. Those that are elsewhere are copied there and back.
    """

    def __init__(
        self, blobs: Sequence[Blob], parameter: Parameter, rule: updates.Rule, histories: int
    ) -> None:
        self._blobs, self._rule = blobs, rule
        self._lr_mult, self._decay_mult = parameter.lr_mult, parameter.decay_mult
        self._flat = [(blob.count,) for blob in blobs]
        self._on_host = device.current() is device.HOST
        align = _ALIGNED if self._on_host and len(blobs) > 1 else 1
        self._room = [-(-blob.count // align) * align for blob in blobs]
        self.count = sum(self._room)  #: how many numbers they are, with what lies between them
        self._history = [zeros(self.count) for _ in range(histories)]
        self._rests = self._may_rest = self._lr_mult == 0 and rule in _RESTING
        #: of all, one after the other, where there are several
        self._data, self._gradient = (self._settle(side) for side in ("data", "diff"))

    def _settle(self, side: str) -> _Flat | None:
        if len(self._blobs) == 1:
            return None
        flat = torch.zeros_like(self._history[0])
        parts = self._cut(flat)
        for blob, part in zip(self._blobs, parts):
            (blob.data_memory if side == "data" else blob.diff_memory).settle(part)
        return _Flat(flat, parts)

    def _cut(self, flat: Tensor) -> list[Tensor]:
        """Each parameter's part of what is side by side."""
        return [part[: blob.count] for blob, part in zip(self._blobs, torch.split(flat, self._room))]

    def places(self) -> Iterable[tuple[Blob, list[Tensor]]]:
        """Each blob with its part of the histories."""
        for blob, *parts in zip(self._blobs, *map(self._cut, self._history)):
            yield blob, [part.view(blob.dims) for part in parts]

    def history_changed(self) -> None:
        self._rests = self._may_rest and not any(bool(history.any()) for history in self._history)

    def decay(self, param: SolverParameter) -> float:
        """The rate of decay of these parameters."""
        return float(param.weight_decay * self._decay_mult)

    def rate(self, rate: float) -> float:
        """What these parameters learn by where `rate` is the solver's."""
        return rate * self._lr_mult

    def in_lines(self, param: SolverParameter) -> list[Tensor] | None:
        """Data, gradients and histories, as far as they are whole cache lines; `finish` updates the rest.

        None where they are not in one piece of memory each, or more is asked for than the rule.
        """
        plain = param.iter_size == 1 and (not self.decay(param) or param.regularization_type == "L2")
        if self._rests or not plain or self.count < _ALIGNED:
            return None
        tensors, left = self._tensors(), self.count % _ALIGNED
        return [tensor[:-left] for tensor in tensors] if tensors and left else tensors

    def finish(self, param: SolverParameter, rate: float, iteration: int) -> None:
        """What is `in_lines` has been updated."""
        left = self.count % _ALIGNED
        if left and (tensors := self._tensors()):
            data, gradient, *history = (tensor[-left:] for tensor in tensors)
            if decay := self.decay(param):  # 0 times infinity would be NaN
                gradient.add_(data, alpha=decay)
            self._rule(param, gradient, self.rate(rate), history, iteration)
            data.sub_(gradient)
        for blob in self._blobs:
            blob.diff_memory.touched()
            blob.data_memory.touched()

    def _tensors(self) -> list[Tensor] | None:
        """Data, gradients and histories in one piece of memory each, float32; None where they are not so."""
        gradient, elsewhere = self._gathered()
        data = self._in_place()
        if elsewhere or data is None or not data.dtype == gradient.dtype == torch.float32:
            return None
        return [data, gradient, *self._history]

    def compute(self, param: SolverParameter, rate: float, iteration: int) -> None:
        """diff := the update."""
        if self._rests:
            for blob in self._blobs:
                blob.zero_grad()
            return
        gradient, elsewhere = self._gathered()
        if param.iter_size != 1:
            gradient.div_(param.iter_size)
        self._regularize(param, gradient)
        self._rule(param, gradient, self.rate(rate), self._history, iteration)
        for diff, part in elsewhere:
            diff.copy_(part)
        for blob in self._blobs:
            blob.diff_memory.touched()

    def subtract(self) -> None:
        """data -= diff."""
        if self._rests:
            return
        data = None if self._data is None else self._in_place()
        if data is None or self._gradient is None:
            for blob in self._blobs:
                blob.update()
            return
        data.sub_(self._gradient.whole)
        for blob in self._blobs:
            blob.data_memory.touched()

    def _in_place(self) -> Tensor | None:
        """The data as they lie in memory, or None where some of them or of the gradients are elsewhere."""
        if self._data is None or self._gradient is None:
            return self._blobs[0].value_as(self._flat[0])
        side_by_side = all(
            blob.data_memory.settled is value and blob.diff_memory.settled is grad
            for blob, value, grad in zip(self._blobs, self._data.parts, self._gradient.parts)
        )
        return self._data.whole if side_by_side else None

    def _gathered(self) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        """The gradients side by side, and those that are elsewhere, beside their copies."""
        if self._gradient is None:
            return self._blobs[0].grad_as(self._flat[0]), []
        if not self._on_host:
            diffs = [blob.grad_as(flat) for blob, flat in zip(self._blobs, self._flat)]
            return torch.cat(diffs, out=self._gradient.whole), list(zip(diffs, self._gradient.parts))
        elsewhere = []
        for blob, flat, part in zip(self._blobs, self._flat, self._gradient.parts):
            if blob.diff_memory.settled is not part:
                diff = blob.grad_as(flat)
                if blob.diff_memory.settled is not part:
                    elsewhere.append((diff, part.copy_(diff)))
        return self._gradient.whole, elsewhere

    def _weights(self) -> Tensor:
        """The data side by side."""
        if self._data is None:
            return self._blobs[0].value_as(self._flat[0])
        if not self._on_host:
            return torch.cat([blob.value_as(flat) for blob, flat in zip(self._blobs, self._flat)])
        for blob, flat, part in zip(self._blobs, self._flat, self._data.parts):
            if blob.data_memory.settled is not part:
                part.copy_(blob.value_as(flat))
        return self._data.whole

    def _regularize(self, param: SolverParameter, gradient: Tensor) -> None:
        decay = self.decay(param)
        if not decay:
            return
        weights = self._weights()
        gradient.add_(weights if param.regularization_type == "L2" else weights.sign(), alpha=decay)


class _Flat(NamedTuple):
    """Numbers of several parameters side by side, and each one's."""

    whole: Tensor
    parts: list[Tensor]
