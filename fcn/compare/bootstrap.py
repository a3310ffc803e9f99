"""How far the four numbers would vary with other images: the images of a list, drawn anew with replacement.

The bootstrap of Efron and Tibshirani (1993), intervals by percentiles. All runs see the same draws, so that
the difference between two runs varies far less than either: images that are hard are hard for both.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..score.counts import Tally
from ..score.metrics import METRICS, Margins

#: Draws whose sums are in memory at once.
_CHUNK = 256


def margins(tally: Tally, unseen: tuple[int, ...] = ()) -> Margins:
    """What the numbers of each image are made of: arrays of images x K."""
    hists = [image.cells.hist(tally.classes) for image in tally.images]
    right, true, predicted = (
        np.array([part(hist) for hist in hists], np.float64).reshape(len(hists), tally.classes)
        for part in (np.diag, lambda hist: hist.sum(1), lambda hist: hist.sum(0))
    )
    return Margins(right, true, predicted, unseen)


def draws(images: int, count: int, seed: int) -> Iterator[np.ndarray]:
    """How often each image is in each of `count` draws of as many images: count x images, in parts."""
    generator = np.random.default_rng(seed)
    even = np.full(images, 1 / images)
    for start in range(0, count, _CHUNK):
        yield generator.multinomial(images, even, size=min(_CHUNK, count - start)).astype(np.float64)


def resampled(per_image: Margins, count: int, seed: int) -> np.ndarray:
    """The four numbers of each draw, count x 4; NaN where a draw has nothing to score."""
    found = []
    for times in draws(len(per_image.true), count, seed):
        sums = Margins(
            times @ per_image.right, times @ per_image.true, times @ per_image.predicted, per_image.unseen
        )
        found.append(np.stack(sums.four(), axis=-1))
    numbers: np.ndarray = np.concatenate([np.empty((0, len(METRICS))), *found])
    return numbers


def interval(values: np.ndarray, level: float) -> tuple[float, float]:
    """The bounds between which the middle `level` (0 to 1) of the values lies; NaN where there are none."""
    known = values[~np.isnan(values)]
    if not known.size:
        return float("nan"), float("nan")
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
