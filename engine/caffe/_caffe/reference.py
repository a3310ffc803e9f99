"""The reference path: the layers of a plan one after another, over its blobs. It defines the numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch

from . import rounding
from .blob import Blob, Layout
from .graph.plan import LayerPlan, Plan
from .graph.scores import scoring
from .layer import Layer
from .naming import raise_named
from .registry import is_built_in

Callback = Callable[[int], None]


@dataclass
class Hooks:
    """Who is called with a layer's number before or after its forward or its backward.

    `gradients_done`: each time that a layer has added to its parameters' gradients, whichever path runs it;
    these calls see nothing else of the pass, which is why they leave its path as it is.
    """

    before_forward: list[Callback] = field(default_factory=list)
    after_forward: list[Callback] = field(default_factory=list)
    before_backward: list[Callback] = field(default_factory=list)
    after_backward: list[Callback] = field(default_factory=list)
    gradients_done: list[Callback] = field(default_factory=list)

    @property
    def any(self) -> bool:
        """Whether anybody is called at all."""
        return bool(
            self.before_forward
            or self.after_forward
            or self.before_backward
            or self.after_backward
            or self.gradients_done
        )


class Step:
    """One layer and all that a pass hands it, looked up once.

    Args:
        told: called after its backward, see `Hooks.gradients_done`; with the layer's number.
    """

    def __init__(
        self,
        planned: LayerPlan,
        layer: Layer,
        blobs: Sequence[Blob] | Mapping[int, Blob],
        layout: Layout,
        told: tuple[int, Sequence[Callback]] = (0, ()),
    ) -> None:
        # Lists, not tuples: this is what Python layers are given.
        self.bottom = [blobs[number] for number in planned.bottoms]
        self.top = [blobs[number] for number in planned.tops]
        self.losses = [top for top, weight in zip(self.top, planned.loss_weights) if weight]
        self.propagate_down = list(planned.propagate_down)
        self.runs_backward = planned.runs_backward
        self.layer = layer
        self.param = planned.param
        self._layout = layout
        #: Whether it is reshaped only when shapes or memory change.
        self.follows_layout = is_built_in(type(layer)) and not layer.reshape_reads_values
        self._reshaped: int | None = None  # at which version of the layout
        self._number, self._told = told

    def reshape(self) -> None:
        """Give the tops their shapes for the bottoms' present ones."""
        version = self._layout.version
        try:
            self.layer.reshape(self.bottom, self.top)
        except (RuntimeError, MemoryError) as error:
            raise_named(self.param, error)
        self._reshaped = version

    def forward(self) -> torch.Tensor | None:
        """Compute the tops; returns the layer's part of the loss, each top times the weights in its diff."""
        self.run()
        return self.loss() if self.losses else None

    def run(self) -> None:
        """Compute the tops."""
        if self._reshaped != self._layout.version or not self.follows_layout:
            self.reshape()
        try:
            self.layer.forward(self.bottom, self.top)
        except (RuntimeError, MemoryError) as error:
            raise_named(self.param, error)

    def loss(self) -> torch.Tensor | None:
        """The layer's part of the loss."""
        loss: torch.Tensor | None = None
        for blob in self.losses:
            flat = (blob.count,)
            part = torch.dot(blob.value_as(flat), blob.grad_as(flat))
            loss = part if loss is None else loss + part
        return loss

    def backward(self) -> None:
        """Compute the diffs of bottoms and parameters that the plan names, from those of the tops."""
        try:
            self.layer.backward(self.top, self.propagate_down, self.bottom)
        except (RuntimeError, MemoryError) as error:
            raise_named(self.param, error)
        self.gradients_done()

    def gradients_done(self) -> None:
        """The layer's part of its parameters' gradients is there, by `backward` or by who does its work."""
        for call in self._told:
            call(self._number)


class ReferencePath:
    """Runs a plan layer by layer; every blob can be read afterwards, or by a hook in between.

    The layers keep for a backward pass what the plan of the last path made over them asks for.

    Args:
        layers, blobs: set up, one for each that the plan names.
        layout: that all the blobs, the parameters too, tell of their changes. A layer is reshaped only after
            one, unless it is a user's own or its shapes depend on values.
    """

    def __init__(self, plan: Plan, layers: Sequence[Layer], blobs: Sequence[Blob], layout: Layout) -> None:
        self.plan, self.layers, self.blobs, self.layout = plan, tuple(layers), tuple(blobs), layout
        self.hooks = Hooks()
        self.steps = tuple(
            Step(planned, layer, blobs, layout, (number, self.hooks.gradients_done))
            for number, (planned, layer) in enumerate(zip(plan.layers, layers))
        )
        scores = scoring(plan)
        for number, (planned, layer) in enumerate(zip(plan.layers, self.layers)):
            layer.wants_gradient = planned.runs_backward
            layer.scores = number in scores

    def forward(self, first: int = 0, last: int | None = None) -> float:
        """Run layers `first` to `last` (default the last), both included.

        Returns:
            The weighted sum of their losses.

        Raises:
            NetError: no such layers.
        """
        return 0.0 + float(self.launch(first, last))  # 0, not -0

    def launch(self, first: int = 0, last: int | None = None) -> torch.Tensor | float:
        """Like `forward`, but without waiting for the device: the losses' sum may be a tensor on it."""
        last = len(self.steps) - 1 if last is None else last
        self.plan.check_range(first, last)
        hooks, steps = self.hooks, self.steps
        loss: torch.Tensor | None = None
        with torch.no_grad(), rounding.switched():
            for number in range(first, last + 1):
                for call in hooks.before_forward:
                    call(number)
                part = steps[number].forward()
                if part is not None:
                    loss = part if loss is None else loss + part
                for call in hooks.after_forward:
                    call(number)
        return 0.0 if loss is None else loss

    def backward(self, first: int | None = None, last: int = 0) -> None:
        """Run layers `first` (default the last) down to `last`, both included, backward.

        Raises:
            NetError: no such layers.
        """
        first = len(self.steps) - 1 if first is None else first
        self.plan.check_range(last, first)
        hooks, steps = self.hooks, self.steps
        with torch.no_grad(), rounding.switched():
            for number in range(first, last - 1, -1):
                for call in hooks.before_backward:
                    call(number)
                if steps[number].runs_backward:
                    steps[number].backward()
                for call in hooks.after_backward:
                    call(number)

    def reshape(self) -> None:
        """Propagate the present shapes of the inputs through all layers."""
        with torch.no_grad():
            for step in self.steps:
                step.reshape()
