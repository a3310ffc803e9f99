"""What the ranks send to rank 0 while each works by itself: kept at the meeting point until it is taken.

Not an exchange, for which all have to come together: a rank that is faster waits for nobody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import SolverError

if TYPE_CHECKING:
    from torch._C._distributed_c10d import Store

#: Bytes of a piece: torch's store takes 8 MiB.
PIECE = 4 << 20


class Post:
    """Messages of any length to rank 0, each sender's in the order in which it sent them.

    Args:
        store: where the ranks have met.
    """

    def __init__(self, store: Store, rank: int, count: int) -> None:
        self._store, self._rank = store, rank
        self._sent = 0
        self._taken = dict.fromkeys(range(1, count), 0)
        self._parts = {sender: bytearray() for sender in self._taken}

    def send(self, message: bytes) -> None:
        """Leave a message for rank 0.

        Raises:
            RuntimeError: the store is gone.
        """
        pieces = [message[at : at + PIECE] for at in range(0, len(message), PIECE)] or [b""]
        for piece in pieces:
            last = piece is pieces[-1]
            value: Any = (b"." if last else b"+") + piece  # torch's stub knows text alone
            self._store.set(self._key(self._rank, self._sent), value)
            self._sent += 1

    def take(self) -> list[tuple[int, bytes]]:
        """The messages that have come and were not taken yet, with the rank that sent each; for rank 0.

        Raises:
            RuntimeError: the store is gone.
        """
        found = []
        for sender in self._taken:
            while self._store.check([key := self._key(sender, self._taken[sender])]):
                piece = self._store.get(key)
                self._store.delete_key(key)
                self._taken[sender] += 1
                self._parts[sender] += piece[1:]
                if piece[:1] == b".":
                    found.append((sender, bytes(self._parts[sender])))
                    self._parts[sender].clear()
                elif piece[:1] != b"+":
                    raise SolverError(
                        f"rank {sender} sent something that is no message: another version of caffe?"
                    )
        return found

    @staticmethod
    def _key(sender: int, number: int) -> str:
        return f"post/{sender}/{number}"
