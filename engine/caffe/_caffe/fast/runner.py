"""Runner: what a net hands its passes to. It takes the fast path where that gives the same results sooner."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import torch

from .. import device, rounding
from ..blob import Blob, Layout
from ..checkpoint import CheckpointedPath, Parts
from ..errors import install_command
from ..graph.plan import Plan
from ..layer import Layer
from ..log import log
from ..reference import ReferencePath
from . import replay
from .choice import chosen
from .tape import CHANCES, Moved, Tape

if TYPE_CHECKING:
    from .path import FastPath
    from .training_path import TrainingPath

_TRAIN, _TEST = 0, 1
_WORTH = 20_000_000  # multiply-adds of a pass from which on the fast path gains


def fast_summary() -> tuple[str, str]:
    """Which algorithms run, and what the fast path computes with: processor, threads, compiled code.

    Raises:
        CaffeError: ``CAFFE_ALGORITHMS`` names none.
        ImportError: Numba is missing or does not import.
    """
    from ..machine.compiling import cache_folder
    from ..machine.emit import processor

    kept = cache_folder() or "no folder that can be written: each process compiles anew, set NUMBA_CACHE_DIR"
    return chosen(), f"{processor()}, {torch.get_num_threads()} threads, compiled code in {kept}"


class Runner(ReferencePath):
    """Runs a plan, by the fast path where a whole forward in phase TEST is asked for and nobody looks on.

    Args:
        layers, blobs: set up, one for each that the plan names.
    """

    def __init__(self, plan: Plan, layers: Sequence[Layer], blobs: Sequence[Blob], layout: Layout) -> None:
        super().__init__(plan, layers, blobs, layout)
        self._fast: FastPath | None = None
        self._training: TrainingPath | None = None  # what ran the last forward, if a backward may follow
        #: by whether they take the fast path
        self._checkpoints: dict[bool, CheckpointedPath] = {}
        self._dropping: CheckpointedPath | None = None  # what ran the last forward, if it dropped blobs
        self._replays: replay.Replays | None = None
        self._saving = False
        self._tape: Tape | None = None
        self._algorithms = ""  #: the choice that it was made under
        #: the layout's version at the last pass layer by layer, and how many tapes were made for it
        self._taped = (-1, 0)
        self._can = True  # until Numba turns out to be missing
        self._asked: tuple[str, int] | None = None  # the algorithms and shapes that `_pays` was found for
        self._pays = False
        #: multiply-adds of a pass for each number that the net is fed with
        self._adds_per_input = self._multiply_adds() / max(1, self._inputs())

    def launch(self, first: int = 0, last: int | None = None) -> torch.Tensor | float:
        everything = first == 0 and last in (None, len(self.steps) - 1)
        if everything and self._tape is not None:
            same = self._tapes() and chosen() == self._algorithms
            taped = self._tape.forward() if same else None
            if taped is not None:
                return taped
            self._tape = None
        self._training = None
        hooked = self.hooks.before_forward or self.hooks.after_forward
        whole = everything and not hooked
        for checkpoints in self._checkpoints.values():
            checkpoints.forget()
        self._dropping = None
        fast = self._fast_path() if whole else None
        if whole and device.checkpointing() and self.plan.phase == _TRAIN:
            self._dropping = self._checkpointed(fast is not None and fast.applies)
            return self._dropping.forward()
        if fast is None or not fast.applies:
            if self._fast is not None and not hooked:
                end = len(self.steps) - 1 if last is None else last
                self.plan.check_range(first, end)
                self._fast.forget(range(first, end + 1))
            if whole and self.plan.phase == _TEST and replay.available():
                self._replayed().forward(super().launch)
                return 0.0
            loss = super().launch(first, last)
            if everything:
                self._record()
            return loss
        loss = fast.forward()
        self._training = fast if self.plan.phase == _TRAIN else None  # type: ignore[assignment]
        return loss

    def backward(self, first: int | None = None, last: int = 0) -> None:
        everything = first in (None, len(self.steps) - 1) and last == 0
        whole = everything and not (self.hooks.before_backward or self.hooks.after_backward)
        if whole and self._dropping is not None:
            self._dropping.backward()
        elif whole and self._training is not None:
            self._training.backward()
        elif whole and self._tape is not None and self._tapes():
            if not self._tape.backward():
                super().backward(first, last)
                self._tape.learn_backward()
        else:
            if self._dropping is not None:
                self._dropping.restore()
            super().backward(first, last)

    def _tapes(self) -> bool:
        """Whether passes may be calls of a tape: nobody looks on, and the host computes as ever."""
        return not self.hooks.any and device.plain()

    def _record(self) -> None:
        """A pass has run layer by layer: the next is one of a tape, if this is the second of its kind."""
        version, made = self._taped
        if version != self.layout.version:
            self._taped = self.layout.version, 0
        elif made < CHANCES and self._tapes() and chosen() != "reference":
            self._taped, self._algorithms = (version, made + 1), chosen()
            with suppress(Moved):
                self._tape = Tape(self)

    def _checkpointed(self, fast: bool) -> CheckpointedPath:
        if fast not in self._checkpoints:
            parts = Parts(self)
            if fast:
                from .saving.dropping import DroppingPath

                parts = DroppingPath(self).parts()
            self._checkpoints[fast] = CheckpointedPath(self, parts)
        return self._checkpoints[fast]

    def _replayed(self) -> replay.Replays:
        if self._replays is None:
            self._replays = replay.Replays(self)
        return self._replays

    def _fast_path(self) -> FastPath | None:
        asked = chosen(), self.layout.version
        if asked != self._asked:
            enough = self._adds_per_input * self._inputs() >= _WORTH
            self._asked, self._pays = asked, asked[0] == "fast" or (asked[0] != "reference" and enough)
        if not self._pays or not self._can:
            return None
        if device.current().type != "cpu" or device.dtype() != torch.float32 or rounding.rounds():
            return None
        saving = device.memory_saving() and self.plan.phase == _TEST
        if self._fast is None or self._saving != saving:
            self._fast, self._saving = self._make(saving), saving
        return self._fast

    def _make(self, saving: bool) -> FastPath | None:
        try:
            return self._made(saving)
        except ImportError as error:  # Numba is missing, or refuses the installed NumPy
            self._can = False
            say = log.info if chosen() == "auto" else log.warning
            say("running without the fast path (%s): %s", install_command("fast"), error)
            return None

    def _made(self, saving: bool) -> FastPath:
        """The path of the net's phase; what only training needs is compiled for training only."""
        if self.plan.phase == _TRAIN:
            from .training_path import TrainingPath

            return TrainingPath(self)
        from .path import FastPath

        return FastPath(self, saving)

    def _multiply_adds(self) -> int:
        """What a pass multiplies and adds, at the present shapes."""
        return sum(
            layer.multiply_adds(*([self.blobs[n] for n in ids] for ids in (planned.bottoms, planned.tops)))
            for planned, layer in zip(self.plan.layers, self.layers)
        )

    def _inputs(self) -> int:
        """How many numbers the net is fed with, at the present shapes."""
        fed = (planned.tops for planned in self.plan.layers if not planned.bottoms)
        return sum(self.blobs[number].count for tops in fed for number in tops)
