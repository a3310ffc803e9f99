"""A scorecard read back from the folder that `Scorecard.write` wrote."""

from __future__ import annotations

import logging
from pathlib import Path

from ..score import Scorecard
from ..score.counts import COUNTS, Stored
from ..score.scoring import scorecard
from ..score.subject import Subject

log = logging.getLogger("fcn")


def stored(folder: Path, subject: Subject) -> Scorecard | None:
    """The scorecard in a folder, if it is of the weights, classes and images of `subject`, else None.

    Raises:
        SampleError: histograms that are damaged.
        OSError: they cannot be read.
    """
    first, *others = subject.labelings
    files = [folder / COUNTS, *(folder / labeling.name / COUNTS for labeling in others)]
    if not all(file.is_file() for file in files):
        return None
    found = [Stored.load(file) for file in files]
    weights = subject.weights.name if subject.weights else ""
    if found[0].weights != weights:
        log.info("%s: is of %s, not of %s", folder, found[0].weights or "no weights", weights)
        return None
    maps = [truth.maps for truth in subject.truths]
    same_classes = all(one.classes == tuple(of.classes) for one, of in zip(found, maps))
    if not same_classes or not {image.name for image in found[0].tally.images} <= set(subject.names):
        return None
    return scorecard(subject, [one.tally for one in found])
