"""The order of samples, and private random numbers, both with a state that JSON can hold."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...proto import caffe_pb2
from .. import device
from ..errors import DataError


def shard(phase: int) -> tuple[int, int]:
    """(S, r): this solver takes the samples whose running number is r modulo S; in TEST all, (1, 0).

    Raises:
        DataError: the rank is not one of 0 to S - 1.
    """
    if phase != caffe_pb2.TRAIN:
        return 1, 0
    count, rank = device.solver_count(), device.solver_rank()
    if not 0 <= rank < count:
        raise DataError(f"solver_rank {rank} of solver_count {count}: call caffe.set_solver_count first")
    return count, rank


class Random:
    """A generator of its own, seeded by a draw from the engine's."""

    def __init__(self) -> None:
        self._numbers = np.random.Generator(np.random.PCG64(device.draw_seed()))

    def below(self, limit: int) -> int:
        """A number from 0 to `limit` - 1."""
        return int(self._numbers.integers(limit))

    def permutation(self, count: int) -> np.ndarray:
        """The numbers 0 to `count` - 1 in random order."""
        return self._numbers.permutation(count)

    @property
    def state(self) -> dict[str, Any]:
        """Where the generator stands, and of which solver it is, where that is not the first.

        That of another solver has no effect: each draws numbers of its own.
        """
        state: dict[str, Any] = dict(self._numbers.bit_generator.state)
        return {**state, "solver": device.solver_rank()} if device.solver_rank() else state

    @state.setter
    def state(self, value: dict[str, Any]) -> None:
        if value.get("solver", 0) != device.solver_rank():
            return
        # Of a new generator: in a forked process, a thread that is not there may have locked the old one.
        numbers = np.random.PCG64(0)
        numbers.state = {key: part for key, part in value.items() if key != "solver"}  # type: ignore[assignment]
        self._numbers = np.random.Generator(numbers)


class Epochs:
    """The numbers 0 to `count` - 1 again and again, in order or, with `random`, shuffled anew each time."""

    def __init__(self, count: int, random: Random | None = None, start: int = 0) -> None:
        self.count, self._random, self._position = count, random, start
        self._reorder()

    def _reorder(self) -> None:
        if self._random is not None:
            self._before = self._random.state
            self._order = self._random.permutation(self.count)

    @property
    def current(self) -> int:
        """The number whose turn it is."""
        return self._position if self._random is None else int(self._order[self._position])

    @property
    def left(self) -> int:
        """How many numbers are still to come in this epoch, `current` among them."""
        return self.count - self._position

    def upcoming(self, first: int, stop: int, step: int = 1) -> slice | np.ndarray:
        """An index of the numbers `first`, `first` + `step`, ... before `stop`, counted from `current` on."""
        places = slice(self._position + first, self._position + stop, step)
        return places if self._random is None else self._order[places]

    def advance(self, by: int = 1) -> bool:
        """Go on by at most as many numbers as are `left`; returns whether that began a new epoch."""
        self._position += by
        if self._position < self.count:
            return False
        self._position = 0
        self._reorder()
        return True

    def state(self) -> dict[str, Any]:
        """What `restore` needs: the position, and the generator as it was before it made this order."""
        return {
            "count": self.count,
            "position": self._position,
            "random": None if self._random is None else self._before,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to where `state` was taken.

        Raises:
            DataError: it was taken of another number of samples, or with shuffling where there is none now.
        """
        if state["count"] != self.count or (state["random"] is None) != (self._random is None):
            now, then = (
                f"{count} samples, {'not ' if random is None else ''}shuffled"
                for count, random in ((self.count, self._random), (state["count"], state["random"]))
            )
            raise DataError(f"{then} when the position was saved, {now} now")
        if self._random is not None:
            self._random.state = state["random"]
            self._reorder()
        self._position = int(state["position"]) % self.count
