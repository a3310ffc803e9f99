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

    Each of the processes of a training may be asked; with `all_stop` they find out together.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.signum: int | None = None
        self.snapshot = False
        self.late = False

    @property
    def to_stop(self) -> bool:
        """Whether the training is to end after this step."""
        return self.signum is not None or self.late or time.monotonic() >= self.session.until

    def all_stop(self) -> bool:
        """Whether any process of the training is asked to stop; all have to call it, between two steps."""
        if self.signum is None and self.session.team.world.orphaned:
            self.signum = signal.SIGTERM
        late = self.late or time.monotonic() >= self.session.until
        asked = [self.signum or 0, int(self.snapshot), int(late)]
        signum, snapshot, late_too = self.session.team.most(asked)
        self.signum, self.snapshot, self.late = signum or None, bool(snapshot), bool(late_too)
        return bool(signum or late_too)

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
