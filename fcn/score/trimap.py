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


def trimap_table(hists: Mapping[int, np.ndarray], whole: Scores) -> str:
    """A row per width, in percent, and one for all pixels."""
    rows = [(str(width), Scores(hist, whole.unseen)) for width, hist in hists.items()]
    return table(
        ("pixels to a boundary", "pixel acc.", "mean IU", "pixels"),
        [
            (name, percent(one.overall_accuracy), percent(one.mean_iu), str(int(one.hist.sum())))
            for name, one in [*rows, ("all", whole)]
        ],
    )


def trimap_facts(hists: Mapping[int, np.ndarray], unseen: tuple[int, ...]) -> dict[str, Any]:
    """For JSON: the rule, and for each width pixels and numbers, as fractions of 1."""
    rows = []
    for width, hist in hists.items():
        numbers = Scores(hist, unseen).numbers()
        known = {name: None if np.isnan(value) else value for name, value in numbers.items()}
        rows.append({"width": width, "pixels": int(hist.sum()), **known})
    return {"rule": RULE, "widths": rows}


def draw_trimap(hists: Mapping[int, np.ndarray], whole: Scores, path: Path) -> Path | None:
    """Pixel accuracy and mean IU against the width, beside those of all pixels; see `curves`."""
    widths = list(hists)
    near = [Scores(hist, whole.unseen) for hist in hists.values()]
    panels = {}
    for title, name in (("pixel accuracy, %", METRICS[0]), ("mean IU, %", METRICS[2])):
        within = [100 * one.means()[name] for one in near]
        everywhere = [100 * whole.means()[name]] * len(widths)
        panels[title] = {"near boundaries": (widths, within), "all pixels": (widths, everywhere)}
    return curves(panels, path, x_label="pixels to a boundary, at most")
