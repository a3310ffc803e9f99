"""How one start of a training behaves; what is trained does not depend on it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..ranks.team import ALONE, Team

#: What a signal may do, as in Caffe: a snapshot and on, a snapshot and the end, nothing.
EFFECTS = ("snapshot", "stop", "none")


@dataclass(frozen=True)
class Session:
    """What signals do, when the time is up, which snapshots are kept, how a lost disk is waited for.

    Attributes:
        sigint: the effect of SIGINT and SIGTERM, one of EFFECTS.
        sighup: that of SIGHUP, which comes when the terminal goes.
        until: the `time.monotonic()` after which the training stops with a snapshot.
        keep_last: how many snapshots stay, besides the one with the best score; 0: all.
        disk_wait: seconds that a training goes on for without being able to write a snapshot.
        retry: seconds between two tries to write one.
        team: the processes that train together.
        strict: stop where a known cause of a low score is found before the first step, and not only warn.
        tensorboard: write events for TensorBoard beside the tables.
    """

    sigint: str = "stop"
    sighup: str = "snapshot"
    until: float = math.inf
    keep_last: int = 3
    disk_wait: float = 1800.0
    retry: float = 60.0
    strict: bool = False
    tensorboard: bool = False
    team: Team = ALONE


#: What one is that nothing is said about.
PLAIN = Session()
