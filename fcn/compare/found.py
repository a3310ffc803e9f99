"""The score of a run: as it was written, or made anew where it is missing or of other weights."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from voc_layers.reading import SampleError

from ..runs import Run
from ..score.counts import COUNTS, Stored
from ..score.request import ScoreRequest
from ..score.scoring import Setting, score

log = logging.getLogger("fcn")


def find_score(path: Path, data: Path | None, split: str | None, settings: Sequence[Setting]) -> Stored:
    """The counts of a run, or of a folder that `fcn score` wrote.

    A run without them, or whose newest weights are others, is scored, and the score is written into it.

    Args:
        data, split: the images to score on; by default those that the run was scored on in training.

    Raises:
        SampleError: neither a run nor the folder of a score.
    """
    if (path / COUNTS).is_file():
        return Stored.load(path / COUNTS)
    run = Run(path)
    if not run.net("deploy").is_file():
        raise SampleError(
            f"{path}: expected a run, or a folder that fcn score wrote (with {COUNTS}); of predictions make "
            "one: fcn score PREDICTIONS --data DATA --out FOLDER"
        )
    folder = path / f"score-{split or _own_split(run)}"
    if data is None and (folder / COUNTS).is_file():
        stored, newest = Stored.load(folder / COUNTS), run.newest()
        if newest is None or stored.weights == newest.name:
            return stored
        log.info("%s is of %s, not of %s: scored again", folder, stored.weights, newest.name)
    card = score(ScoreRequest(path, data=data, split=split), settings)
    card.write(path / f"score-{card.split}")
    return card.stored


def _own_split(run: Run) -> str | None:
    job = run.job()
    own = job.split("val") if job else None
    return own.name if own else None
