"""Taking the snapshots of a training, on a disk that may be full or gone for a while."""

from __future__ import annotations

import logging
import shutil
import time

from ...job import Job
from ...protocols import SolverLike
from ...runs import Run
from ...weights.solverstate import arrays_kept
from ..numbers import check_weights
from ..progress import Meter
from ..session import Session
from .loopstate import save_loop
from .snapshots import Snapshots

log = logging.getLogger("fcn")


class NoSnapshot(RuntimeError):
    """A snapshot could not be written for so long that the training stopped."""


class Keeper:
    """Takes the snapshots of one training, and removes those that are not kept."""

    def __init__(self, job: Job, run: Run, solver: SolverLike, meter: Meter, session: Session) -> None:
        self.job, self.run, self.solver, self.meter, self.session = job, run, solver, meter, session
        self.snapshots = Snapshots(run)
        self.failing_since: float | None = None
        self.retry_at, self.why = 0.0, ""

    def take(self) -> bool:
        """Take a snapshot of this iteration, if there is none; whether there is one now.

        One that cannot be written leaves those before as they are; `poll` tries again.

        Raises:
            Diverged: the weights hold values that are no numbers.
        """
        iteration = self.solver.iter
        if not self.session.team.root or iteration in self.snapshots.complete():
            return True
        check_weights(self.run, self.solver)
        try:
            with self.session.team.busy("writing a snapshot"):
                self._write(iteration)
        except (OSError, RuntimeError, ValueError) as error:
            self._failed(iteration, error)
            return False
        if self.failing_since is not None:
            log.warning("snapshots can be written again: iteration %d", iteration)
        self.failing_since = None
        return True

    def _write(self, iteration: int) -> None:
        folder = self.snapshots.folder
        if not folder.is_dir():
            raise OSError(f"{folder}: the folder is gone")
        needed = bytes_needed(self.solver, self.job.recipe.type)
        free = shutil.disk_usage(folder).free
        if free < needed:  # a real Caffe would end the process
            raise OSError(f"{folder}: a snapshot needs {needed / 1e6:.0f} MB, {free / 1e6:.0f} MB are free")
        self.solver.snapshot()
        save_loop(self.run, iteration, self.meter.losses, self.meter.batches(iteration))
        self.run.flush_tables()
        self.snapshots.complete_with(iteration)
        self.prune()

    def prune(self) -> None:
        """Remove the snapshots that the session does not keep; those that have no score yet stay."""
        best, scored = self.run.best(), self.run.scored()
        unscored = (i for i in self.run.snapshots() if self.job.recipe.scores_at(i) and i not in scored)
        try:
            self.snapshots.keep(self.session.keep_last, {*unscored, *([] if best is None else [best])})
        except OSError as error:
            log.warning("older snapshots could not be removed: %s", error)

    def _failed(self, iteration: int, error: Exception) -> None:
        self.why = str(error)
        now = time.monotonic()
        self.retry_at = now + self.session.retry
        try:
            self.snapshots.remove(iteration)
        except OSError:
            pass  # the disk is what is wrong
        if self.failing_since is None:
            self.failing_since = now
            log.warning(
                "the snapshot of iteration %d could not be written: %s. The training goes on, and tries "
                "again every %g s, for %g minutes; free space or bring the disk back. Last complete: %s",
                iteration, error, self.session.retry, self.session.disk_wait / 60, self._last(),
            )  # fmt: skip

    def poll(self, due: bool) -> None:
        """Take a snapshot where one is due, or where the last one failed and it is time to try again.

        Raises:
            NoSnapshot: it has failed for longer than the session waits.
        """
        now = time.monotonic()
        if self.failing_since is None:
            if due:
                self.take()
        elif now >= self.retry_at and not self.take() and now - self.failing_since > self.session.disk_wait:
            raise self._lost()

    def finish(self, wait: bool) -> None:
        """Take the snapshot of this iteration, if there is none; `wait`: for the disk, as a session does.

        Raises:
            NoSnapshot: it could not be written.
        """
        while not self.take():
            assert self.failing_since is not None
            if not wait or time.monotonic() - self.failing_since > self.session.disk_wait:
                raise self._lost()
            time.sleep(min(self.session.retry, 10))

    def _last(self) -> str:
        done = list(self.snapshots.complete())
        return f"iteration {done[-1]}" if done else "none"

    def _lost(self) -> NoSnapshot:
        return NoSnapshot(
            f"stopped at iteration {self.solver.iter} of {self.run.path.name}, and no snapshot could be "
            f"written: {self.why}. Last complete snapshot: {self._last()}; when the disk is back: "
            f"fcn train --resume {self.run.path}"
        )


def bytes_needed(solver: SolverLike, kind: str) -> int:
    """About how much disk a snapshot of a solver of this type takes."""
    weights = sum(blob.data.size for blobs in solver.net.params.values() for blob in blobs)
    return 4 * weights * (1 + arrays_kept(kind)) + (1 << 20)
