"""The order in which a data layer reads, and a thread that reads ahead without changing it."""

from __future__ import annotations

import os
import random
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from types import MethodType
from typing import Any, NamedTuple

#: Indices and the number of the first draw -> a sample.
Load = Callable[[list[int], int], Any]


class Order:
    """Indices 0 .. count - 1: in turn, or drawn with replacement from a private generator.

    Drawing is `random.Random(seed).randint(0, count - 1)`: the stream of the reference release's layers
    under Python 3, which seed Python's global generator (Python 2's `randint` made other numbers of a seed).
    """

    def __init__(self, count: int, randomize: bool = False, seed: int | None = None):
        self.count = count
        self.generator = random.Random(seed) if randomize else None
        self.position = 0
        #: How many have been drawn.
        self.drawn = 0

    def draw(self) -> int:
        self.drawn += 1
        if self.generator:
            return self.generator.randint(0, self.count - 1)
        index, self.position = self.position, (self.position + 1) % self.count
        return index

    def skip(self, draws: int) -> None:
        """Go on as if so many had been drawn."""
        if self.generator:
            for _ in range(draws):
                self.draw()
        else:
            self.position = (self.position + draws) % self.count
            self.drawn += draws

    def state(self) -> list[Any]:
        """Everything the next draw depends on, as plain lists and numbers."""
        if not self.generator:
            return [self.position]
        version, words, gauss = self.generator.getstate()
        return [version, list(words), gauss]

    def restore(self, state: list[Any]) -> None:
        """Go back to a state; ValueError where it is of the other kind of order."""
        if (self.generator is None) != (len(state) == 1):
            raise ValueError("the saved order is of a layer with the other setting of `randomize`")
        if self.generator:
            self.generator.setstate((state[0], tuple(state[1]), state[2]))
        else:
            self.position = state[0] % self.count


def is_random(split: str, params: Mapping[str, Any]) -> bool:
    """Whether a data layer with this `param_str` draws from a split at random: only from one to train on."""
    return bool(params.get("randomize", True)) and "train" in split


class ReadAhead:
    """Samples in order, `depth` of them read ahead by one thread; depth 0 reads when asked.

    The order is drawn where `advance` is called; the thread only loads. It ends when this object goes. In a
    process forked off, which has none but the one that forked, another thread reads again what was waiting.

    load: called with the drawn indices (`batch` of them) and the number of the first draw gives one sample;
        what it raises, `current` raises when the sample is due. Of a method's object no hold is taken: its
        owner may hold this one and go.
    """

    def __init__(self, load: Load, order: Order, batch: int = 1, depth: int = 2):
        self._find = weakref.WeakMethod(load) if isinstance(load, MethodType) else lambda: load
        self._order, self._batch, self._depth = order, batch, depth
        self._queue: deque[_Draw] = deque()
        self._start_thread()
        self._fill()

    def _start_thread(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="read-ahead") if self._depth else None
        self._process = os.getpid()

    def _fill(self) -> None:
        while len(self._queue) <= self._depth:
            number = self._order.drawn
            indices = [self._order.draw() for _ in range(self._batch)]
            self._push(indices, number, self._order.state())

    def _push(self, indices: list[int], number: int, order: list[Any]) -> None:
        sample: Future[Any] = Future()
        if self._thread is not None:
            sample = self._thread.submit(_load, self._find, indices, number)
        self._queue.append(_Draw(indices, number, order, sample))

    def _survive_fork(self) -> None:
        if self._process == os.getpid():
            return
        waiting = list(self._queue)
        self._queue.clear()
        self._start_thread()
        for draw in waiting:
            self._push(draw.indices, draw.number, draw.order)

    @property
    def indices(self) -> list[int]:
        """The indices of the sample that `current` gives."""
        return self._queue[0].indices

    def current(self) -> Any:
        """The sample in turn; the same one until `advance`."""
        self._survive_fork()
        draw = self._queue[0]
        if self._thread is None and not draw.sample.done():
            draw.sample.set_result(_load(self._find, draw.indices, draw.number))
        return draw.sample.result()

    def advance(self) -> None:
        """On to the next sample."""
        self._survive_fork()
        self._queue.popleft()
        self._fill()

    def state(self) -> dict[str, Any]:
        """The position of the consumer, not of the thread: what is read ahead is not counted."""
        draw = self._queue[0]
        return {
            "indices": list(draw.indices),
            "number": draw.number,
            "order": draw.order,
            "count": self._order.count,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a state of the same list; ValueError where the list has another length or order."""
        if state["count"] != self._order.count or len(state["indices"]) != self._batch:
            raise ValueError(
                f"the saved position is in a list of {state['count']} images, "
                f"{len(state['indices'])} at a time; this layer has {self._order.count}, "
                f"{self._batch} at a time"
            )
        self._survive_fork()
        number = state.get("number", 0)  # older states have none, and nothing that depends on it
        self._order.restore(state["order"])
        self._order.drawn = number + self._batch
        for draw in self._queue:
            draw.sample.cancel()
        self._queue.clear()
        self._push(list(state["indices"]), number, state["order"])
        self._fill()


class _Draw(NamedTuple):
    """What has been drawn for one sample, the state of the order after it, and the sample to come."""

    indices: list[int]
    number: int
    order: list[Any]
    sample: Future[Any]


def _load(find: Callable[[], Load | None], indices: list[int], number: int) -> Any:
    """The sample; None where the layer that loads is gone, and so is whoever would ask for it."""
    load = find()
    return None if load is None else load(indices, number)
