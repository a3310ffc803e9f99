"""A scorecard read back from the folder that `Scorecard.write` wrote."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

from voc_layers.folder import Folder

from ..score import Scorecard
from ..score.counts import load_tally
from ..score.subject import Subject

log = logging.getLogger("fcn")


def stored(folder: Path, subject: Subject) -> Scorecard | None:
    """The scorecard in a folder, of the same weights and images as `subject`; None where there is none.

    Raises:
        SampleError: histograms that are damaged.
        ValueError: a score.json that is none.
    """
    if not (folder / "score.json").is_file() or not (folder / "images.npz").is_file():
        return None
    facts = _read(folder / "score.json")
    if subject.weights is None or facts.get("weights") != subject.weights.name:
        log.info("%s: is of %s, not of %s", folder, facts.get("weights"), subject.weights)
        return None
    cards = [
        _card(folder / (labeling.name if place else ""), subject, place)
        for place, labeling in enumerate(subject.labelings)
    ]
    if any(card is None for card in cards):
        return None
    first, *more = [card for card in cards if card is not None]
    return replace(first, more=tuple(more))


def _card(folder: Path, subject: Subject, place: int) -> Scorecard | None:
    """The scorecard of one labeling; None where it is of other classes or images."""
    labeling, maps = subject.labelings[place], subject.truths[place].maps
    if not (folder / "images.npz").is_file():
        return None
    tally, classes = load_tally(folder / "images.npz")
    if classes != tuple(maps.classes) or not {one.name for one in tally.images} <= set(subject.names):
        return None
    return Scorecard(
        str(_read(folder / "score.json").get("title", folder.name)),
        tally,
        classes,
        subject.model,
        subject.split,
        maps.unseen if isinstance(maps, Folder) else (),
        labeling.name,
        subject.weights.name if subject.weights else None,
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: not JSON: {error}; score again") from error
    return found if isinstance(found, dict) else {}
