"""Scoring a net while it is trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..protocols import SolverLike
from .histograms import compute_hist
from .metrics import Scores


def evaluate(
    solver: SolverLike, count: int, stopped: Callable[[], bool] = lambda: False
) -> dict[str, float] | None:
    """The numbers of the solver's first test net, with the weights in training, on its next `count` batches.

    A classifier has 'accuracy'; a net with label maps has 'loss' and the paper's four, as fractions of 1.
    None where `stopped()`, asked before each batch, says so.
    """
    net = solver.test_nets[0]
    net.share_with(solver.net)
    try:
        if "accuracy" in net.blobs:
            correct = sum(float(net.forward()["accuracy"]) for _ in _until(stopped, count))
            return {"accuracy": correct / count}
        hist, loss = compute_hist(net, None, _until(stopped, count))
    except _Stopped:
        return None
    return {"loss": loss, **Scores(hist).means()}


class _Stopped(Exception):
    """Not all batches were wanted."""


def _until(stopped: Callable[[], bool], count: int) -> Iterator[str]:
    for batch in range(count):
        if stopped():
            raise _Stopped
        yield str(batch)
