"""The ways a training is asked from outside to snapshot or to end: signals, and the time it was given."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from .session import Session

#: sysexits.h's EX_TEMPFAIL, "try again later": what job schedulers are told to start the command again on.
TIME_IS_UP = 75

#: What is said of a signal's effect.
WORDS = {
    "stop": "a snapshot after this step, then the end; the same once more ends it at once",
    "snapshot": "a snapshot after this step",
    "none": "ignored",
}


class Interrupted(RuntimeError):
    """The training was asked to stop, and the snapshot has been taken; `status` is the exit status."""

    def __init__(self, why: str, status: int, snapshot: Path) -> None:
        folder = snapshot.parent.parent
        super().__init__(f"{why} at {snapshot.name}; go on: fcn train --resume {folder}")
        self.status = status


class Asked:
    """What a training is asked for: `signum` of the signal that stops it, `snapshot` to take one.

    Each of the processes of a training may be asked, at any moment. They do what all have found out together,
    in `agree`; what comes during that waits for the next time.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.signum: int | None = None
        self.snapshot = False
        self._late = self._agreed = self._due = False

    @property
    def to_stop(self) -> bool:
        """Whether the training is to end after this step."""
        return self.signum is not None or self._late or time.monotonic() >= self.session.until

    @property
    def all_stop(self) -> bool:
        """Whether the training ends now: in several processes, if they have agreed on it."""
        return self.to_stop if self.session.team.count == 1 else self._agreed

    def agree(self) -> None:
        """Find out what any process of the training is asked for; all call it, after each step."""
        team = self.session.team
        if team.count == 1:
            return
        if self.signum is None and team.world.orphaned:
            self.signum = signal.SIGTERM
        snapshot, self.snapshot = self.snapshot, False
        late = time.monotonic() >= self.session.until
        signum, due, late_too = team.most([self.signum or 0, int(snapshot), int(late)])
        self.signum = signum or self.signum
        self._due, self._late = bool(due), bool(late_too)
        self._agreed = bool(signum or late_too)

    def snapshot_is_due(self) -> bool:
        """Whether a snapshot is to be taken, by one wish at least since the last time."""
        if self.session.team.count > 1:
            return self._due
        wished, self.snapshot = self.snapshot, False
        return wished

    def interrupted(self, snapshot: Path) -> Interrupted:
        """What to raise once the snapshot has been taken."""
        if self.signum is not None:
            return Interrupted(f"stopped by signal {self.signum}", 128 + self.signum, snapshot)
        return Interrupted("the time is up (--max-hours): stopped", TIME_IS_UP, snapshot)


@contextmanager
def listening(session: Session) -> Iterator[Asked]:
    """What SIGINT, SIGTERM and SIGHUP ask for, by the session's effects.

    A second signal that stops does what it did before, which is at once. What was ignored before stays so (as
    SIGHUP under nohup).
    """
    asked = Asked(session)
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    effects = {"SIGINT": session.sigint, "SIGTERM": session.sigint, "SIGHUP": session.sighup}
    there = {getattr(signal, name): effect for name, effect in effects.items() if hasattr(signal, name)}
    before = {number: signal.getsignal(number) for number in there}

    def note(number: int, frame: FrameType | None) -> None:
        effect = there[signal.Signals(number)]
        if effect == "stop":
            asked.signum = number
            for stop in (n for n, e in there.items() if e == "stop" and before[n] != signal.SIG_IGN):
                signal.signal(stop, before[stop])
        elif effect == "snapshot":
            asked.snapshot = True
        _tell(f"signal {number}: {WORDS[effect]}\n")

    for number in (n for n, handler in before.items() if handler != signal.SIG_IGN):
        signal.signal(number, note)
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _tell(text: str) -> None:
    """A line on the console, past all buffers: a signal may come while one of them is written."""
    try:
        os.write(sys.stderr.fileno(), text.encode())
    except (OSError, ValueError, AttributeError):
        pass  # it is closed, or no file
