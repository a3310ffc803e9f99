"""The tables of a scorecard as a page shows them: headline numbers, classes, confusion."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..figures import ClassColours
from ..score import METRICS, Scorecard
from ..tables import percent

#: As the paper heads its tables, and in the order of METRICS.
TITLES = dict(zip(METRICS, ("pixel accuracy", "mean accuracy", "mean IU", "f.w. IU")))
COLUMNS = (
    {"text": "IU", "title": "intersection over union"},
    {"text": "acc.", "title": "accuracy"},
    {"text": "Dice", "title": "Dice"},
    {"text": "share", "title": "share of the true pixels"},
)


def card_context(card: Scorecard, colours: ClassColours) -> dict[str, Any]:
    """All of a scorecard, for the template."""
    return {
        "tiles": tiles(card),
        "note": _note(card),
        "columns": COLUMNS,
        "rows": class_rows(card, colours),
        "confusion": confusion(card),
        "counts": card.hist.astype(int).tolist(),
    }


def tiles(card: Scorecard) -> list[dict[str, Any]]:
    """The four numbers, each beside what was published, and the mean Dice."""
    found = [
        {
            "name": TITLES[name],
            "ours": percent(value),
            "main": name == "mean IU",
            "published": [
                _against(value, row.source, theirs)
                for row in card.published
                if (theirs := row.values[k]) is not None
            ],
        }
        for k, (name, value) in enumerate(card.scores.means().items())
    ]
    dice = {"name": "mean Dice", "ours": percent(card.scores.mean_dice), "main": False, "published": []}
    return [*found, dice]


def _against(ours: float, source: str, theirs: float) -> dict[str, Any]:
    """One published number, in percent, and how far ours, a fraction, is from it."""
    gap = ours - theirs / 100
    return {
        "source": source,
        "value": f"{theirs:.1f}",
        "gap": percent(gap, signed=True),
        "ahead": gap >= 0,
    }


def _note(card: Scorecard) -> str:
    published = "" if card.published else " Nothing is published for this model on these classes."
    absent = [name for name, iu in zip(card.classes, card.scores.class_iu) if math.isnan(iu)]
    left_out = f" Left out of the means: {', '.join(absent)}." if absent else ""
    pixels = f"{int(card.hist.sum()):,} pixels scored, {card.void:,} void."
    return f"{card.images} images, {pixels}{published}{left_out}"


def class_rows(card: Scorecard, colours: ClassColours) -> list[dict[str, Any]]:
    """A row for each class, in their order."""
    scores, true = card.scores, card.hist.sum(1)
    share = true / max(true.sum(), 1)
    measures = zip(scores.class_iu, scores.class_accuracy, scores.class_dice, share)
    return [
        {
            "name": name,
            "colour": colours.css(k),
            "cells": [_cell(float(value)) for value in values],
        }
        for k, (name, values) in enumerate(zip(card.classes, measures))
    ]


def _cell(value: float) -> dict[str, Any]:
    known = 0.0 if math.isnan(value) else value
    return {
        "text": percent(value),
        "value": -1 if math.isnan(value) else round(known, 6),
        "width": round(100 * known, 2),
        "detail": "left out of the means" if math.isnan(value) else "",
    }


def confusion(card: Scorecard) -> list[dict[str, Any]]:
    """A row for each true class: the share of its pixels that is predicted as each class, in whole percent.

    The shade is the square root of the share: a few percent, as most confusions are, can be seen.
    """
    true = np.maximum(card.hist.sum(1, keepdims=True), 1)
    share = card.hist / true
    shades, whole = np.rint(100 * np.sqrt(share)).astype(int), np.rint(100 * share).astype(int)
    return [
        {
            "name": name,
            "cells": [
                {"text": str(w) if w else "", "shade": int(s), "right": k == row, "level": _level(s)}
                for k, (w, s) in enumerate(zip(whole[row].tolist(), shades[row]))
            ],
        }
        for row, name in enumerate(card.classes)
    ]


def _level(shade: int) -> int:
    """How strong a shade is, for the colour of the number on it: 0, 1 or 2."""
    return int(shade > 50) + int(shade > 86)
