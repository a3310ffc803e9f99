"""The order in which a data layer reads, and a thread that reads ahead without changing it."""

from __future__ import annotations

import os
import random
import weakref
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import MethodType
from typing import Any, NamedTuple

import caffe

#: Indices and the numbers of their draws -> a sample.
Load = Callable[[list[int], Sequence[int]], Any]


class Share(NamedTuple):
    """The part of an order that one of several processes reads: of every `solvers` elements, number `rank`.

    Together they read the whole order: in each step the elements that one process would read with a batch of
    as many images.
    """

    rank: int = 0
    solvers: int = 1


def share() -> Share:
    """What this process reads of the images to train on: all, unless several solvers train together."""
    if not hasattr(caffe, "solver_count"):  # a Caffe from before there were several
        return Share()
    return Share(caffe.solver_rank(), caffe.solver_count())


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

    load: called with the drawn indices (`batch` of them) and the numbers of their draws gives one sample;
        what it raises, `current` raises when the sample is due. Of a method's object no hold is taken: its
        owner may hold this one and go.
    share: of the order, which all processes draw alike.
    """

    def __init__(self, load: Load, order: Order, batch: int = 1, depth: int = 2, share: Share | None = None):
        self._find = weakref.WeakMethod(load) if isinstance(load, MethodType) else lambda: load
        self._order, self._batch, self._depth = order, batch, depth
        self._share = share or Share()
        self._queue: deque[_Draw] = deque()
        self._start_thread()
        self._fill()

    def _start_thread(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="read-ahead") if self._depth else None
        self._process = os.getpid()

    def _fill(self) -> None:
        rank, solvers = self._share
        while len(self._queue) <= self._depth:
            first = self._order.drawn
            state = {"before": self._order.state(), "number": first, "count": self._order.count}
            drawn = [self._order.draw() for _ in range(self._batch * solvers)]
            self._push(drawn[rank::solvers], range(first + rank, self._order.drawn, solvers), state)

    def _push(self, indices: list[int], numbers: Sequence[int], state: dict[str, Any]) -> None:
        sample: Future[Any] = Future()
        if self._thread is not None:
            sample = self._thread.submit(_load, self._find, indices, numbers)
        self._queue.append(_Draw(indices, numbers, state, sample))

    def _survive_fork(self) -> None:
        if self._process == os.getpid():
            return
        waiting = list(self._queue)
        self._queue.clear()
        self._start_thread()
        for draw in waiting:
            self._push(draw.indices, draw.numbers, draw.state)

    @property
    def indices(self) -> list[int]:
        """The indices of the sample that `current` gives."""
        return self._queue[0].indices

    def current(self) -> Any:
        """The sample in turn; the same one until `advance`."""
        self._survive_fork()
        draw = self._queue[0]
        if self._thread is None and not draw.sample.done():
            draw.sample.set_result(_load(self._find, draw.indices, draw.numbers))
        return draw.sample.result()

    def advance(self) -> None:
        """On to the next sample."""
        self._survive_fork()
        self._queue.popleft()
        self._fill()

    def state(self) -> dict[str, Any]:
        """The position of the consumer, not of the thread: what is read ahead is not counted.

        It is one of the whole order, the same for all processes: any number of them goes on from it.
        """
        return self._queue[0].state

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a state of the same list; ValueError where the list has another length or order."""
        if state["count"] != self._order.count:
            raise ValueError(
                f"the saved position is in a list of {state['count']} images; this layer has "
                f"{self._order.count}"
            )
        self._survive_fork()
        for draw in self._queue:
            draw.sample.cancel()
        self._queue.clear()
        number = state.get("number", 0)  # older states have none, and nothing that depends on it
        if "before" not in state:
            self._restore_older(state, number)
        else:
            self._order.restore(state["before"])
            self._order.drawn = number
        self._fill()

    def _restore_older(self, state: dict[str, Any], number: int) -> None:
        """From a state that holds what was drawn for the present sample, and the order after that."""
        if len(state["indices"]) != self._batch or self._share.solvers > 1:
            raise ValueError(
                f"the saved position is of an older release, in one process with {len(state['indices'])} "
                f"images at a time; this layer has {self._batch} at a time in {self._share.solvers}"
            )
        self._order.restore(state["order"])
        self._order.drawn = number + self._batch
        self._push(list(state["indices"]), range(number, number + self._batch), state)


class _Draw(NamedTuple):
    """What has been drawn for one sample, the state that this is drawn again from, and the sample to come."""

    indices: list[int]
    numbers: Sequence[int]
    state: dict[str, Any]
    sample: Future[Any]


def _load(find: Callable[[], Load | None], indices: list[int], numbers: Sequence[int]) -> Any:
    """The sample; None where the layer that loads is gone, and so is whoever would ask for it."""
    load = find()
    return None if load is None else load(indices, numbers)
