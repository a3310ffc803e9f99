"""The scores near boundaries as a page shows them: charts over the widths, and their numbers."""

from __future__ import annotations

from typing import Any

from ..score import Scorecard
from ..score.trimap import RULE, trimap_curves
from ..tables import percent
from .chart import Across, chart

COLUMNS = ("pixels to a boundary", "pixel accuracy", "mean IU", "pixels")


def boundaries(card: Scorecard) -> dict[str, Any] | None:
    """What the template shows of them; None where they were not scored."""
    if not card.near:
        return None
    along = Across("pixels to a boundary, at most", tuple(card.near), log=True)
    charts = [
        chart(title, lines, share=True, along=along)
        for title, lines in trimap_curves(card.near, card.scores).items()
    ]
    rows = [*((f"at most {width}", scores) for width, scores in card.near.items()), ("all", card.scores)]
    return {
        "charts": [one for one in charts if one is not None],
        "columns": COLUMNS,
        "rows": [
            (name, percent(one.overall_accuracy), percent(one.mean_iu), f"{int(one.hist.sum()):,}")
            for name, one in rows
        ],
        "rule": f"Of the {RULE}.",
    }
