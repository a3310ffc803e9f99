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

log = logging.getLogger("fcn")


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
    # The forward pass of this step saw the weights of step iteration - 1: a snapshot from then on is suspect.
    aside = run.set_aside(iteration - 1)
    good = run.newest()
    kind = "not a number" if math.isnan(loss) else "infinite"
    return Diverged(
        f"the loss is {kind} at iteration {iteration} of {run.path.name}; the first blob with such values "
        f"is '{broken[0] if broken else 'loss'}'. Last good snapshot: "
        f"{good or 'none'}{f'; set aside: {[p.name for p in aside]}' if aside else ''}. The usual causes: "
        "a rate for the mean loss used with the summed one (or the reverse), the rate of an earlier stage, "
        "label values outside the classes."
    )


@contextmanager
def stop_signals() -> Iterator[list[int]]:
    """A list that SIGINT or SIGTERM puts its number into; a second signal does what it did before."""
    caught: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield caught
        return
    before = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)}

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
