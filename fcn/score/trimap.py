"""Scores near the boundaries of the true labels (Kohli, Ladicky, Torr 2009: trimaps of growing width).

A pixel is as far from a boundary as its centre is from that of the nearest pixel of another true label, in
pixels; 1 is beside it. Void is a label here: in PASCAL VOC it is the line drawn around an object. Void pixels
themselves are not scored, so that a boundary between two void regions, whatever they hide, counts nothing.
The border of the image is no boundary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from voc_layers.facts import VOID

from ..figures import curves
from ..tables import percent, table
from .counts import Cells
from .metrics import METRICS, Scores, fast_hist

#: The widths of a page that is made without being told any, in pixels.
USUAL = (1, 2, 4, 8, 16, 32)
#: The lines of a chart: pixels near a boundary, and all of them.
NEAR, WHOLE = "near boundaries", "all pixels"
#: Widths, ascending, and a number for each.
Curve = tuple[list[float], list[float]]
#: What is measured, in words, for whoever compares it with other trimaps.
RULE = (
    "pixels within so many of the nearest pixel of another true label (centre to centre; void is a label, "
    "its own pixels are not scored)"
)


def boundary_distance(truth: np.ndarray) -> np.ndarray:
    """How far each pixel is from the nearest one of another label, float32 H x W.

    truth: H x W, 255 = void, whose pixels get infinity; so do all where there is one label only.
    """
    from scipy.ndimage import distance_transform_edt

    distance = np.full(truth.shape, np.inf, np.float32)
    for label in np.unique(truth[truth != VOID]):
        inside = truth == label
        if not inside.all():
            distance[inside] = distance_transform_edt(inside)[inside]
    return distance


def bands(truth: np.ndarray, guess: np.ndarray, widths: Sequence[int], classes: int) -> dict[int, Cells]:
    """Width -> the histogram of the pixels no farther than that from a boundary; see `fast_hist`."""
    if not widths:
        return {}
    distance = boundary_distance(truth)
    found = {}
    for width in widths:
        near = distance <= width
        found[width] = Cells.of(fast_hist(truth[near], guess[near], classes))
    return found


def trimap_table(near: Mapping[int, Scores], whole: Scores) -> str:
    """A row per width, in percent, and one for all pixels."""
    rows = [(str(width), scores) for width, scores in near.items()]
    return table(
        ("pixels to a boundary", "pixel acc.", "mean IU", "pixels"),
        [
            (name, percent(one.overall_accuracy), percent(one.mean_iu), str(int(one.hist.sum())))
            for name, one in [*rows, ("all", whole)]
        ],
    )


def trimap_facts(near: Mapping[int, Scores]) -> dict[str, Any]:
    """For JSON: the rule, and for each width pixels and numbers, as fractions of 1."""
    rows = []
    for width, scores in near.items():
        known = {name: None if np.isnan(value) else value for name, value in scores.numbers().items()}
        rows.append({"width": width, "pixels": int(scores.hist.sum()), **known})
    return {"rule": RULE, "widths": rows}


def trimap_curves(near: Mapping[int, Scores], whole: Scores) -> dict[str, dict[str, Curve]]:
    """Title -> line -> widths and numbers, in percent: near boundaries, and of all pixels beside them.

    Widths without a number (no pixel is so near) are left out.
    """
    panels = {}
    for title, name in (("pixel accuracy", METRICS[0]), ("mean IU", METRICS[2])):
        numbers = {width: 100 * scores.means()[name] for width, scores in near.items()}
        within = {width: number for width, number in numbers.items() if not np.isnan(number)}
        everywhere = [100 * whole.means()[name]] * len(within)
        widths = [float(width) for width in within]
        panels[title] = {NEAR: (widths, [*within.values()]), WHOLE: (widths, everywhere)}
    return panels


def draw_trimap(near: Mapping[int, Scores], whole: Scores, path: Path) -> Path | None:
    """`trimap_curves` as a picture; see `fcn.figures.curves`."""
    panels = {f"{title}, %": lines for title, lines in trimap_curves(near, whole).items()}
    return curves(panels, path, x_label="pixels to a boundary, at most")
