"""Scoring a net while it is trained."""

from __future__ import annotations

from ..protocols import SolverLike
from .histograms import compute_hist
from .metrics import Scores


def evaluate(solver: SolverLike, count: int) -> dict[str, float]:
    """The numbers of the solver's first test net, with the weights in training, on its next `count` batches.

    A classifier has 'accuracy'; a net with label maps has 'loss' and the paper's four, as fractions of 1.
    """
    net = solver.test_nets[0]
    net.share_with(solver.net)
    if "accuracy" in net.blobs:
        return {"accuracy": sum(float(net.forward()["accuracy"]) for _ in range(count)) / count}
    hist, loss = compute_hist(net, None, map(str, range(count)))
    return {"loss": loss, **Scores(hist).means()}
