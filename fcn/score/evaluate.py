"""Scoring a net while it is trained."""

from __future__ import annotations

from collections.abc import Sequence

import nets
from voc_layers.folder import Folder

from ..protocols import SolverLike
from .histograms import compute_hist
from .metrics import Scores


def evaluate(
    solver: SolverLike, count: int, labelings: Sequence[nets.Labeling], folder: Folder | None = None
) -> dict[str, float]:
    """The numbers of the solver's first test net, with the weights in training, on its next `count` batches.

    A classifier has 'accuracy'; a net with label maps has 'loss' and the paper's four, as fractions of 1, and
    those of its further labelings under names that start with theirs. folder: knows which classes its images
    lack.
    """
    net = solver.test_nets[0]
    net.share_with(solver.net)
    if "accuracy" in net.blobs:
        return {"accuracy": sum(float(net.forward()["accuracy"]) for _ in range(count)) / count}
    numbers: dict[str, float] = {}
    for labeling in labelings:
        ids, maps = map(str, range(count)), folder.labeled(labeling.name) if folder else None
        hist, loss = compute_hist(net, None, ids, labeling.score, labeling.label, labeling.loss)
        start = f"{labeling.name} " if numbers else ""
        means = Scores(hist, maps.unseen_numbers if maps else ()).means()
        numbers |= {f"{start}{name}": value for name, value in {"loss": loss, **means}.items()}
    return numbers
