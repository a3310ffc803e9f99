"""Numbers that are none: a loss, a gradient or a weight that is infinite or not a number ends a training."""

from __future__ import annotations

import math

import numpy as np

from ..job import Job
from ..protocols import NetLike, SolverLike
from ..runs import Run
from ..weights.loading import not_finite
from .keeping.snapshots import Snapshots

#: Parameters with more values than this are not looked through after every step.
SMALL = 1 << 14


class Diverged(RuntimeError):
    """The loss, a gradient or a weight became infinite or not a number."""


def check_step(job: Job, run: Run, solver: SolverLike, loss: float) -> None:
    """See that the loss and the gradients of the step just done are finite numbers.

    Raises:
        Diverged: they are not: the iteration, the images, the first layer that went bad. Snapshots that the
            step started from are set aside.
    """
    if not math.isfinite(loss):
        what = "not a number" if math.isnan(loss) else "infinite"
        first = next((n for n, b in solver.net.blobs.items() if not np.isfinite(b.data).all()), "loss")
        how = f"the loss is {what} at iteration {{}}; the first blob with such values is '{first}'"
    elif layer := _first_bad_update(solver.net):
        how = f"the gradient is not finite at iteration {{}}, first in layer '{layer}'"
    else:
        return
    images = ", ".join(job.images(solver.iter - 1))
    place = f"{solver.iter} of {run.path.name}" + (f" (image {images})" if images else "")
    # The step saw the weights of iteration - 1: a snapshot from then on is suspect.
    raise _diverged(run, how.format(place), solver.iter - 1)


def check_weights(run: Run, solver: SolverLike) -> None:
    """Raise Diverged where weights are no finite numbers: no loss shows yet what the last update did."""
    broken = not_finite(solver.net)
    if broken:
        what = f"after iteration {solver.iter} of {run.path.name} weights of '{broken[0]}' are no numbers"
        raise _diverged(run, what, solver.iter)


def _first_bad_update(net: NetLike) -> str | None:
    """The layer nearest to the loss whose last update is not finite; None if all are.

    Looked for where it costs nothing: in each layer's smallest parameter, its bias as a rule. A bias's
    gradient is the sum of its map's, so what is not finite in the map shows there.
    """
    for name in reversed(list(net.params)):
        smallest = min(net.params[name], key=lambda blob: blob.data.size)
        if smallest.data.size <= SMALL and not np.isfinite(smallest.diff).all():
            return name
    return None


def _diverged(run: Run, what: str, suspect: int) -> Diverged:
    snapshots = Snapshots(run)
    aside = ", ".join(path.name for path in snapshots.set_aside(suspect))
    return Diverged(
        f"{what}. Last good snapshot: {snapshots.newest() or 'none'}{'; set aside: ' if aside else ''}{aside}"
        ". The usual causes: a rate for the mean loss used with the summed one (or the reverse), the rate of "
        "an earlier stage, label values outside the classes."
    )
