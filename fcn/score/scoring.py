"""Scoring what is asked for: every image counted, in this process or in several, and the counts added."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from voc_layers.folder import Folder
from voc_layers.reading import SampleError

from .. import ranks
from ..ranks import ALONE, Team
from ..sharding import sharded
from ..waiting import progress
from .counts import ImageCount, Tally
from .request import ScoreRequest
from .scorecard import Scorecard
from .subject import Counter, Subject, check, resolve

log = logging.getLogger("fcn")


#: In what a process works, for example on which device; `pickle` has to know it.
Setting = Callable[[], AbstractContextManager[None]]


def score(request: ScoreRequest, settings: Sequence[Setting] = (), team: Team = ALONE) -> Scorecard:
    """The scorecard of what is asked for.

    Args:
        settings: one for each process that shares the images; the score is the same. With none, or one, all
            is done in this process.
        team: the processes that a launcher has started, which share the images; this one is the first of
            them, the others call `contribute`.

    Raises:
        SampleError: what is missing, or is not what it should be.
        ValueError: an unknown model.
        ShardError: one of several processes failed; names the images that were not scored.
    """
    first, *others = settings or [nullcontext]
    with nullcontext() if others else first():
        subject = resolve(request)
        check(request, subject)
        images = _counts(request, subject, settings, team)
    sizes = [len(truth.maps.classes) for truth in subject.truths]
    return scorecard(subject, [Tally(size, counts) for size, counts in zip(sizes, zip(*images))])


def contribute(request: ScoreRequest, team: Team) -> None:
    """Count the images of this process, which is not the first of the team; that one has the scorecard."""
    subject = resolve(request)
    ranks.contribute(team, subject.opened, subject.names)


def scorecard(subject: Subject, tallies: Sequence[Tally]) -> Scorecard:
    """The scorecard of what was counted, a tally for each labeling of the subject.

    Raises:
        SampleError: no pixel was scored.
    """
    first, *more = [_card(subject, place, tally) for place, tally in enumerate(tallies)]
    return replace(first, more=tuple(more))


def _counts(
    request: ScoreRequest, subject: Subject, settings: Sequence[Setting], team: Team
) -> list[tuple[ImageCount, ...]]:
    """What is counted of each image, in order."""
    if team.world.launched:
        results = ranks.collected(team, subject.opened, subject.names)
        return list(progress(results, "scoring", len(subject.names)))
    if settings[1:]:
        results = sharded([partial(_elsewhere, request, setting) for setting in settings], subject.names)
        return list(progress(results, "scoring", len(subject.names)))
    return [*map(subject.counter(), progress(subject.names, "scoring"))]


@contextmanager
def _elsewhere(request: ScoreRequest, setting: Setting) -> Iterator[Counter]:
    """What counts the images of a request, in a process that knows nothing but this."""
    with setting(), resolve(request).opened() as counter:
        yield counter


def _card(subject: Subject, place: int, tally: Tally) -> Scorecard:
    """The scorecard of one labeling."""
    labeling, maps = subject.labelings[place], subject.truths[place].maps
    _warn_of_little(tally.hist, maps.classes, subject.where)
    named = subject.split is not None and labeling.name  # saved predictions are of one labeling, unnamed
    return Scorecard(
        f"{subject.title}, {labeling.title}" if named else subject.title,
        tally,
        maps.classes,
        subject.model,
        subject.split,
        maps.unseen if isinstance(maps, Folder) else (),
        labeling.name,
        subject.weights.name if subject.weights else None,
    )


def _warn_of_little(hist: np.ndarray, classes: Sequence[str], where: Path) -> None:
    """Warn of a score that says nothing: one class is always right where there is no other.

    Raises:
        SampleError: no pixel was scored.
    """
    present = np.flatnonzero(hist.sum(1))
    if not present.size:
        raise SampleError(f"{where}: every pixel of the labels is void: there is nothing to score")
    if present.size == 1:
        text = "%s: '%s' is the only class in the labels: a score on it says nothing of the others"
        log.warning(text, where, classes[present[0]])
