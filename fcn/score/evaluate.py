"""Scoring a net while it is trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import nets
from voc_layers.folder import Folder

from ..protocols import NetLike, SolverLike
from .histograms import compute_hist
from .metrics import Scores


def evaluate(
    solver: SolverLike,
    count: int,
    labelings: Sequence[nets.Labeling],
    folder: Folder | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> dict[str, float] | None:
    """The numbers of the solver's first test net, with the weights in training, on its next `count` batches.

    A classifier has 'accuracy'; a net with label maps has 'loss' and the paper's four, as fractions of 1, and
    those of its further labelings under names that start with theirs. None where `stopped()`, asked before
    each batch, says so. folder: knows which classes its images lack.
    """
    net = solver.test_nets[0]
    net.share_with(solver.net)
    try:
        if "accuracy" in net.blobs:
            correct = sum(float(net.forward()["accuracy"]) for _ in _until(stopped, count))
            return {"accuracy": correct / count}
        return _of_maps(net, count, labelings, folder, stopped)
    except _Stopped:
        return None


def _of_maps(
    net: NetLike,
    count: int,
    labelings: Sequence[nets.Labeling],
    folder: Folder | None,
    stopped: Callable[[], bool],
) -> dict[str, float]:
    numbers: dict[str, float] = {}
    for labeling in labelings:
        ids, maps = _until(stopped, count), folder.labeled(labeling.name) if folder else None
        hist, loss = compute_hist(net, None, ids, labeling.score, labeling.label, labeling.loss)
        start = f"{labeling.name} " if numbers else ""
        means = Scores(hist, maps.unseen_numbers if maps else ()).means()
        numbers |= {f"{start}{name}": value for name, value in {"loss": loss, **means}.items()}
    return numbers


class _Stopped(Exception):
    """Not all batches were wanted."""


def _until(stopped: Callable[[], bool], count: int) -> Iterator[str]:
    for batch in range(count):
        if stopped():
            raise _Stopped
        yield str(batch)
