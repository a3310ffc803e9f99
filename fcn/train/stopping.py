"""The two ways a training ends before its last step: a signal, and a loss that is no number."""

from __future__ import annotations

import logging
import math
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import numpy as np

from ..protocols import SolverLike
from ..runs import Run
from ..weights.loading import not_finite

log = logging.getLogger("fcn")

_STOPS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Diverged(RuntimeError):
    """The loss became infinite or not a number."""


class Interrupted(RuntimeError):
    """A signal asked the training to stop; `signum` is its number. The snapshot has been taken."""

    def __init__(self, signum: int, snapshot: Path) -> None:
        folder = snapshot.parent.parent
        super().__init__(f"stopped by signal {signum} at {snapshot.name}; go on: fcn train --resume {folder}")
        self.signum = signum


def diverged(run: Run, solver: SolverLike, loss: float) -> Diverged:
    """What to raise for a loss that is no finite number; sets the snapshots aside that may be spoiled too."""
    iteration = solver.iter
    broken = [name for name, blob in solver.net.blobs.items() if not np.isfinite(blob.data).all()]
    kind = "not a number" if math.isnan(loss) else "infinite"
    what = f"the loss is {kind} at iteration {iteration} of {run.path.name}; the first blob with such values "
    # The forward pass of this step saw the weights of step iteration - 1: a snapshot from then on is suspect.
    return _diverged(run, f"{what}is '{broken[0] if broken else 'loss'}'", iteration - 1)


def check_update(run: Run, solver: SolverLike) -> None:
    """Raise Diverged where the last update left weights that are no finite numbers: no loss shows it yet."""
    broken = not_finite(solver.net)
    if broken:
        what = f"after iteration {solver.iter} of {run.path.name} weights of '{broken[0]}' are no numbers"
        raise _diverged(run, what, solver.iter)


def _diverged(run: Run, what: str, suspect: int) -> Diverged:
    aside = ", ".join(path.name for path in run.set_aside(suspect))
    return Diverged(
        f"{what}. Last good snapshot: {run.newest() or 'none'}{'; set aside: ' if aside else ''}{aside}. The "
        "usual causes: a rate for the mean loss used with the summed one (or the reverse), the rate of an "
        "earlier stage, label values outside the classes."
    )


@contextmanager
def stop_signals() -> Iterator[list[int]]:
    """A list that SIGINT, SIGTERM or SIGHUP puts its number into; a second signal does what it did before.

    SIGHUP comes when the terminal goes, and stays ignored where somebody said so (nohup).
    """
    caught: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield caught
        return
    before = {s: signal.getsignal(s) for s in _STOPS if signal.getsignal(s) != signal.SIG_IGN}

    def restore() -> None:
        for signum, handler in before.items():
            signal.signal(signum, handler)

    def note(signum: int, frame: FrameType | None) -> None:
        caught.append(signum)
        restore()
        log.warning("signal %d: taking a snapshot after this step, then stopping", signum)

    for signum in before:
        signal.signal(signum, note)
    try:
        yield caught
    finally:
        restore()
