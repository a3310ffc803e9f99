"""A score as plain text: the tables of a scorecard, numbers in percent."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from ..tables import percent, table
from .images import ImageScore
from .metrics import METRICS, Scores
from .published import Published

COLUMNS = ("pixel acc.", "mean acc.", "mean IU", "f.w. IU")  # as the paper heads its tables


def summary(rows: Mapping[str, Scores]) -> str:
    """The paper's Table 2: a row per net, its four numbers in percent."""
    return table(("", *COLUMNS), [(name, *map(percent, scores.four())) for name, scores in rows.items()])


def against_published(scores: Scores, published: Sequence[Published]) -> str:
    """The four numbers, above what was published and the difference to it."""
    ours = scores.four()
    rows = [("this", *map(percent, ours))]
    for row in published:
        theirs = [None if v is None else v / 100 for v in row.values]
        rows.append((row.source, *map(percent, theirs)))
        gaps = [None if t is None else o - t for o, t in zip(ours, theirs)]
        rows.append(("  difference", *(percent(gap, signed=True) for gap in gaps)))
    return table(("%", *COLUMNS), rows)


def per_class(scores: Scores, classes: Sequence[str]) -> str:
    """A row per class."""
    iu, dice, accuracy, true = scores.class_iu, scores.class_dice, scores.class_accuracy, scores.hist.sum(1)
    share = true / max(true.sum(), 1)
    rows = [
        (name, percent(iu[i]), percent(dice[i]), percent(accuracy[i]), percent(share[i]), str(int(true[i])))
        for i, name in enumerate(classes)
    ]
    return table(("class", "IU", "Dice", "accuracy", "share", "true pixels"), rows)


def absent(scores: Scores, classes: Sequence[str], unseen: Sequence[str]) -> list[str]:
    """A line on the classes that are left out of the means, if there are any."""
    names = [name for name, iu in zip(classes, scores.class_iu) if math.isnan(iu)]
    if not names:
        return []
    verb = "true nowhere" if set(names) <= set(unseen) else "neither true nor predicted"
    return [f"{verb}, left out of the means: {', '.join(names)}"]


def worst_images(images: Sequence[ImageScore]) -> str:
    """A row per image."""
    rows = [
        (one.name, *(percent(one.numbers[name]) for name in METRICS), str(one.scored), str(one.void))
        for one in images
    ]
    return table(("worst images", *COLUMNS, "scored", "void"), rows)


def confusion(hist: np.ndarray, classes: Sequence[str]) -> str:
    """The histogram in percent of its rows; a dot is nothing at all or less than half of one percent."""
    true = np.maximum(hist.sum(1, keepdims=True), 1)
    cells = np.rint(100 * hist / true).astype(int)
    header = ("", *(str(i) for i in range(len(classes))))
    rows = [(f"{i} {name}", *(str(c) if c else "." for c in cells[i])) for i, name in enumerate(classes)]
    return table(header, rows)
