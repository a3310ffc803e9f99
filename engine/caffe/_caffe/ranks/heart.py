"""The heartbeat of a rank: every second each says in the store that it lives, and hears of the others.

A thread does it, so a rank whose net computes for long is heard of; one that was killed or stopped is not.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from .meeting import PAUSE

if TYPE_CHECKING:
    from torch._C._distributed_c10d import Store

#: What a rank says last.
LEFT = "left"


@dataclass(frozen=True)
class Beat:
    """What a rank says of itself.

    Attributes:
        number: grows with every beat.
        arrived: how many exchanges with the others it has come to.
        done: how many of them have ended.
        doing: what keeps it from the next one, if it may take long; `LEFT` where it has ended.
        who: its process and computer.
    """

    number: int = 0
    arrived: int = 0
    done: int = 0
    doing: str = ""
    who: str = ""


@dataclass(frozen=True)
class Heard:
    """The last beat of a rank, and when it came, by this process's clock."""

    beat: Beat
    at: float


class Heart:
    """Says that this rank lives, and keeps what was heard of the others.

    Args:
        store: a connection of its own: it may be blocked while others are used.
        period: seconds between two beats.
    """

    def __init__(self, store: Store, rank: int, count: int, period: float) -> None:
        self._store, self._rank, self._period = store, rank, period
        self._others = [other for other in range(count) if other != rank]
        self._beat = Beat(who=f"process {os.getpid()} on {socket.gethostname()}")
        self._wake, self._over = threading.Event(), False
        self._changing = threading.Lock()  # the beat: by the thread that beats, and by the one that trains
        self._thread = threading.Thread(target=self._run, name="caffe heartbeat", daemon=True)
        #: When the store last answered.
        self.contact = time.monotonic()
        #: rank -> what was heard of it last.
        self.heard: dict[int, Heard] = {}
        self._say()

    def start(self) -> None:
        """Begin to beat."""
        self._thread.start()

    def stop(self) -> None:
        """Say that this rank has ended; the last beat."""
        self._over = True
        self._wake.set()
        self._thread.join(2 * self._period + 1)

    def see_off(self, seconds: float) -> None:
        """Wait, at most so long, until the others too are through the exchanges that this rank is through.

        One that still is in the last of them would take this rank's end for a loss.
        """
        limit = time.monotonic() + seconds
        self._period = PAUSE
        self._wake.set()
        while self._within() and self._thread.is_alive() and time.monotonic() < limit:
            time.sleep(PAUSE)

    def _within(self) -> list[int]:
        """The ranks that are not through the exchanges that this one is through."""
        beats = {rank: heard.beat for rank, heard in self.heard.items()}
        return [r for r, beat in beats.items() if beat.doing != LEFT and beat.done < self._beat.done]

    def arrive(self) -> None:
        """This rank has come to the next exchange."""
        with self._changing:
            self._beat = replace(self._beat, arrived=self._beat.arrived + 1)

    def leave(self) -> None:
        """The exchange that this rank has come to has ended."""
        with self._changing:
            self._beat = replace(self._beat, done=self._beat.arrived)

    def do(self, what: str) -> str:
        """This rank is busy with something that may take long; "" for no more. Returns what it was before."""
        with self._changing:
            before = self._beat.doing
            self._beat = replace(self._beat, doing=what)
        return before

    @property
    def arrived(self) -> int:
        """How many exchanges this rank has come to."""
        return self._beat.arrived

    def silent(self, seconds: float) -> list[int]:
        """The ranks that have said nothing for so long, and no farewell, when the store last answered."""
        return [r for r, h in self.heard.items() if h.beat.doing != LEFT and self.contact - h.at > seconds]

    def left(self, seconds: float = 0.0) -> list[int]:
        """The ranks that have ended, at least so long ago; the first of them first."""
        now = time.monotonic()
        gone = [(h.at, r) for r, h in self.heard.items() if h.beat.doing == LEFT and now - h.at >= seconds]
        return [rank for _, rank in sorted(gone)]

    def behind(self) -> list[int]:
        """The ranks that have not come to the exchange that this one is at."""
        return [r for r, h in self.heard.items() if h.beat.arrived < self.arrived]

    def who(self, rank: int) -> str:
        """A rank, with its process where that was heard."""
        heard = self.heard.get(rank)
        return f"rank {rank} ({heard.beat.who})" if heard else f"rank {rank}"

    def _run(self) -> None:
        from torch.distributed import DistNetworkError

        while True:
            self._wake.wait(self._period)
            self._wake.clear()
            if self._over:
                break
            try:
                self._say()
                self._listen()
                self.contact = time.monotonic()
            except DistNetworkError:
                return  # the store is gone, for good; `contact` says since when
            except (RuntimeError, ValueError):
                pass  # it is slow, or stopped
        self.do(LEFT)
        try:
            self._say()
        except RuntimeError:
            pass  # nobody is there to hear it

    def _say(self) -> None:
        with self._changing:
            self._beat = beat = replace(self._beat, number=self._beat.number + 1)
        self._store.set(f"beat/{self._rank}", json.dumps(asdict(beat)))

    def _listen(self) -> None:
        there = [rank for rank in self._others if rank in self.heard or self._store.check([f"beat/{rank}"])]
        if not there:
            return
        beats = _decoded(self._store.multi_get([f"beat/{rank}" for rank in there]))
        now = time.monotonic()
        for rank, beat in zip(there, beats):
            before = self.heard.get(rank)
            if before is None or before.beat.number != beat.number:
                self.heard[rank] = Heard(beat, now)


def _decoded(texts: Sequence[bytes]) -> list[Beat]:
    return [Beat(**json.loads(text)) for text in texts]
