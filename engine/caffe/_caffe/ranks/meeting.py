"""Where the processes of a training meet: a key-value store (torch's TCPStore) that one of them keeps.

Rank 0 keeps it, or the launcher where that says so (torchrun's agent). The address travels as a URL,
``tcp://host:port``.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ..errors import SolverError
from ..log import log

if TYPE_CHECKING:
    from torch._C._distributed_c10d import Store

#: Seconds between two looks at what is waited for, and between two lines that say so.
PAUSE, REMINDER = 0.1, 15.0


@dataclass(frozen=True)
class Patience:
    """How long the others are waited for, in seconds.

    Attributes:
        silence: a rank that has not been heard of for so long is lost: its process, computer or network.
        progress: a rank that lives may keep the others waiting in a step for so long; and all have to start
            within so long of each other.
    """

    silence: float = 30.0
    progress: float = 300.0

    @classmethod
    def from_environment(cls) -> Patience:
        """CAFFE_RANK_TIMEOUT and CAFFE_RANK_PATIENCE, where they are set; SolverError for no number."""
        return cls(_seconds("CAFFE_RANK_TIMEOUT", cls.silence), _seconds("CAFFE_RANK_PATIENCE", cls.progress))


def _seconds(variable: str, default: float) -> float:
    text = os.environ.get(variable, "")
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 1 <= value < 1e7:
        raise SolverError(f"{variable}={text}: a number of seconds is needed, 1 or more")
    return value


@dataclass(frozen=True)
class Place:
    """The address of the store, and whether a launcher keeps it."""

    host: str
    port: int
    launcher: bool = False
    #: Which start of the job this is: a launcher's store outlives the processes.
    attempt: str = "0"

    @classmethod
    def of(cls, address: str) -> Place:
        """From ``tcp://host:port``.

        Raises:
            SolverError: it is no such address.
        """
        try:
            parts = urlsplit(address)
            host, port = parts.hostname, parts.port
        except ValueError:
            host = port = None
        if not (address.startswith("tcp://") and host and port):
            raise SolverError(
                f"caffe.NCCL: '{address}' is no meeting point: take it from caffe.NCCL.new_uid(), or write "
                "tcp://HOST:PORT of the computer that rank 0 runs on"
            )
        return cls(host, port, *_launched(host, port))

    @property
    def keeper(self) -> str:
        """Who keeps the store."""
        return "the launcher" if self.launcher else "rank 0"

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    def open(self, rank: int, patience: Patience) -> Store:
        """The store; rank 0 makes it, unless a launcher has.

        Raises:
            SolverError: it cannot be made, or whoever keeps it did not answer for `patience.progress`.
        """
        from torch.distributed import PrefixStore, TCPStore  # type: ignore[attr-defined]

        keeps = rank == 0 and not self.launcher
        if not keeps:
            self._await(rank, patience.progress)
        try:
            store = TCPStore(
                self.host,
                self.port,
                is_master=keeps,
                timeout=timedelta(seconds=patience.silence),
                wait_for_workers=False,
            )
        except RuntimeError as error:
            raise SolverError(
                f"rank {rank} cannot {'open' if keeps else 'reach'} the meeting point {self}: {_first(error)}"
            ) from error
        prefixed: Store = PrefixStore(f"caffe/{self.attempt}", store)
        return prefixed

    def _await(self, rank: int, limit: float) -> None:
        """Wait until somebody listens at the address."""

        def listens() -> bool:
            try:
                with socket.create_connection((self.host, self.port), timeout=1.0):
                    return True
            except OSError:
                return False

        what = f"{self.keeper} does not answer at {self}"
        if not until(listens, limit, lambda: f"rank {rank} waits: {what}"):
            raise SolverError(
                f"{what}, and rank {rank} has waited {limit:g} s (CAFFE_RANK_PATIENCE): it was not started, "
                "or its computer has another address, or a firewall is between"
            )


def until(done: Callable[[], bool], limit: float, reminder: Callable[[], str]) -> bool:
    """Whether `done()` became true within `limit` seconds; what is waited for is logged now and then."""
    begun = said = time.monotonic()
    while not done():
        now = time.monotonic()
        if now - begun > limit:
            return False
        if now - said > REMINDER:
            said = now
            log.warning("%s (%.0f of %g s)", reminder(), now - begun, limit)
        time.sleep(PAUSE)
    return True


def _launched(host: str, port: int) -> tuple[bool, str]:
    """Whether the store of this address is torchrun's own, and which restart of its processes this is."""
    ours = os.environ.get("MASTER_ADDR") == host and os.environ.get("MASTER_PORT") == str(port)
    kept = ours and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    return kept, os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") if kept else "0"


def _first(error: Exception) -> str:
    """The first line of what a library says."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
