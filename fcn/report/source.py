"""Where a report comes from: a score that has just been made, or one that lies in a run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from voc_layers.folder import Folder
from voc_layers.reading import SampleError

from ..runs import Run
from ..score import ImageScore, Scorecard, ScoreRequest, score
from ..score.subject import Subject, resolve
from ..score.trimap import USUAL
from ..verify import verify
from ..verify.finding import Finding
from ..waiting import progress
from .choice import chosen
from .page import Labeled, Report
from .pictures import Example
from .stored import stored

log = logging.getLogger("fcn")

#: Images of each kind, best first.
Chosen = Mapping[str, Sequence[ImageScore]]
#: Images that `fcn verify` runs the net on for a page.
CHECKED = 3


def of_run(folder: Path, split: str | None = None) -> Report:
    """The report of a run: of the score that lies in it or, where that is of other weights, of a new one.

    Raises:
        SampleError: no run, or what is missing in it.
        ValueError: files of the run that are damaged.
    """
    _check(Run(folder))
    request = ScoreRequest(folder, split=split, trimap=USUAL)
    subject = resolve(request)
    place = folder / f"score-{subject.split}"
    card = stored(place, subject)
    if card is None:
        log.info("%s: no score of %s there yet: scoring", place, subject.weights)
        card = score(request)
        card.write(place)
    return _report(card, subject, Run(folder))


def _check(run: Run) -> None:
    """Raise SampleError where a folder is no run that knows what it is scored on."""
    job = run.job()
    if job is None or not run.net("deploy").is_file():
        raise SampleError(
            f"{run.path}: expected the folder of a run, with a run.json and a deploy.prototxt; found none"
        )
    if job.is_classifier:
        raise SampleError(f"{run.path}: the run of a classifier, {job.model}; pages are of FCNs")
    if job.split("val") is None:
        raise SampleError(
            f"{run.path}: the run does not say what it is scored on; name it: "
            f"fcn score {run.path} --data DIR --report {run.path}"
        )


def of_score(request: ScoreRequest, card: Scorecard) -> Report:
    """The report of a score that has just been made."""
    run = Run(request.target)
    is_run = request.target.is_dir() and run.net("deploy").is_file()
    return _report(card, resolve(request), run if is_run else None)


def _report(card: Scorecard, subject: Subject, run: Run | None) -> Report:
    cards = (card, *card.more)
    wanted = [chosen(one.per_image) for one in cards]
    said = _said(wanted, subject)
    labelings = [
        Labeled(one, _examples(kinds, subject, place, said), subject.labelings[place].title)
        for place, (one, kinds) in enumerate(zip(cards, wanted))
    ]
    return Report(subject.title, labelings, run, subject.weights, _findings(run) if run else ())


def _said(wanted: Iterable[Chosen], subject: Subject) -> dict[str, list[np.ndarray]]:
    """What the net says now of the images of all kinds: name -> a label map for each labeling."""
    labels = subject.labeler()
    names = {one.name: None for kinds in wanted for scores in kinds.values() for one in scores}
    return {name: [guess for guess, _ in labels(name)] for name in progress([*names], "predicting")}


def _examples(
    kinds: Chosen, subject: Subject, place: int, said: Mapping[str, Sequence[np.ndarray]]
) -> dict[str, list[Example]]:
    """The images of each kind, with the labels of the labeling at `place`."""
    maps, picture = subject.truths[place].maps, _photographs(subject.truths[0].maps)
    return {
        kind: [Example(one, picture(one.name), maps.label(one.name), said[one.name][place]) for one in scores]
        for kind, scores in kinds.items()
    }


def _photographs(maps: object) -> Callable[[str], np.ndarray | None]:
    """What the net looks at, where it is a picture: depth maps are none, and folders of labels have none."""

    def picture(name: str) -> np.ndarray | None:
        if not isinstance(maps, Folder):
            return None
        found = maps.image(name)
        return found if found.dtype == np.uint8 and found.ndim == 3 else None

    return picture


def _findings(run: Run) -> tuple[Finding, ...]:
    try:
        return tuple(verify(run.path, CHECKED).findings)
    except (ValueError, OSError) as error:
        log.warning("the page has no checks: %s", error)
        return ()
