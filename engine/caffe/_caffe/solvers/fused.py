"""The parameters of a net updated in few operations: small ones together, each large one on its own.

The numbers are those of an update parameter by parameter: nothing in it mixes elements.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..errors import SolverError
from ..memory import zeros
from . import updates

if TYPE_CHECKING:
    from ...proto.caffe_pb2 import SolverParameter
    from ..blob import Blob
    from ..graph.plan import Parameter

#: Above this many numbers an operation costs more than its call, and a parameter is updated on its own.
_SMALL = 1 << 16
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
        for group in self._groups:
            group.compute(param, rate, iteration)
        for group in self._groups:
            group.subtract()


def _grouped(parameters: Sequence[Parameter], blobs: Sequence[Blob]) -> Iterable[list[int]]:
    """The numbers of the parameters that are updated together."""
    groups: dict[tuple[float, ...], list[int]] = {}
    for number, (parameter, blob) in enumerate(zip(parameters, blobs)):
        alone = (number,) if blob.count > _SMALL else ()
        groups.setdefault((parameter.lr_mult, parameter.decay_mult, *alone), []).append(number)
    return groups.values()


class _Group:
    """Parameters with the multipliers of `parameter`, their histories side by side."""

    def __init__(
        self, blobs: Sequence[Blob], parameter: Parameter, rule: updates.Rule, histories: int
    ) -> None:
        self._blobs, self._rule = blobs, rule
        self._lr_mult, self._decay_mult = parameter.lr_mult, parameter.decay_mult
        self._flat = [(blob.count,) for blob in blobs]
        self._counts = [blob.count for blob in blobs]
        self._history = [zeros(sum(self._counts)) for _ in range(histories)]
        self._rests = self._may_rest = self._lr_mult == 0 and rule in _RESTING
        self._gradient: Tensor | None = None  # of all, one after the other, where there are several
        self._parts: tuple[Tensor, ...] = ()

    def places(self) -> Iterable[tuple[Blob, list[Tensor]]]:
        """Each blob with its part of the histories."""
        parts = zip(*(torch.split(history, self._counts) for history in self._history))
        for blob, part in zip(self._blobs, parts):
            yield blob, [tensor.view(blob.dims) for tensor in part]

    def history_changed(self) -> None:
        self._rests = self._may_rest and not any(bool(history.any()) for history in self._history)

    def compute(self, param: SolverParameter, rate: float, iteration: int) -> None:
        """diff := the update."""
        if self._rests:
            for blob in self._blobs:
                blob.zero_grad()
            return
        gradient = self._gather()
        if param.iter_size != 1:
            gradient.div_(param.iter_size)
        self._regularize(param, gradient)
        self._rule(param, gradient, rate * self._lr_mult, self._history, iteration)
        for diff, part in zip(self._diffs(), self._parts):
            diff.copy_(part)
        for blob in self._blobs:
            blob.diff_memory.touched()

    def subtract(self) -> None:
        """data -= diff."""
        if self._rests:
            return
        for blob in self._blobs:
            blob.update()

    def _diffs(self) -> list[Tensor]:
        return [blob.grad_as(flat) for blob, flat in zip(self._blobs, self._flat)]

    def _data(self) -> list[Tensor]:
        return [blob.value_as(flat) for blob, flat in zip(self._blobs, self._flat)]

    def _gather(self) -> Tensor:
        diffs = self._diffs()
        if len(diffs) == 1:
            return diffs[0]
        if self._gradient is None:
            self._gradient = torch.empty_like(self._history[0])
            self._parts = torch.split(self._gradient, self._counts)
        return torch.cat(diffs, out=self._gradient)

    def _regularize(self, param: SolverParameter, gradient: Tensor) -> None:
        decay = param.weight_decay * self._decay_mult
        if not decay:
            return
        data = self._data()
        weights = data[0] if len(data) == 1 else torch.cat(data)
        if param.regularization_type == "L2":
            gradient.add_(weights, alpha=decay)
        elif param.regularization_type == "L1":
            gradient.add_(weights.sign(), alpha=decay)
        else:
            raise SolverError(f"Unknown regularization type: {param.regularization_type}; known: L2, L1")
