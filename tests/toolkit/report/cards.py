"""Scored images made of a few numbers, for the tests of pages."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fcn.report import Report
from fcn.report.choice import chosen
from fcn.report.pictures import Example
from fcn.runs import Run
from fcn.score import ImageCount, Scorecard, Tally, fast_hist
from fcn.score.counts import Cells

#: A class that would run as a program where names were not escaped.
EVIL = "<script>document.title='caught'</script>"
SIDE = 40


def names(classes: int) -> tuple[str, ...]:
    """The first is no background; the third is EVIL."""
    return ("road", "sky", EVIL, *(f"class number {k}" for k in range(3, classes)))[:classes]


def sample(k: int, classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Image k: its left half is class 0, its right half class 1, its lowest rows void.

    The net takes k rows of the left half, from the top, for class 2.
    """
    truth = np.zeros((SIDE, 2 * SIDE), np.uint8)
    truth[:, SIDE:] = 1
    guess = truth.copy()
    guess[:k, :SIDE] = 2
    truth[-4:] = 255
    image = np.full((SIDE, 2 * SIDE, 3), (200, 30 + k, 30), np.uint8)
    return image, truth, guess


def scorecard(classes: int, images: int = 12, model: str | None = None) -> Scorecard:
    """The scorecard of so many samples."""
    counts = []
    for k in range(images):
        _, truth, guess = sample(k, classes)
        counts.append(ImageCount(f"image-{k}", Cells.of(fast_hist(truth, guess, classes)), 8 * SIDE))
    return Scorecard(f"a net on {classes} classes", Tally(classes, tuple(counts)), names(classes), model)


def report(classes: int, run: Run | None = None, photographs: bool = True) -> Report:
    """The report of `scorecard`."""
    card = scorecard(classes)
    examples = {}
    for kind, scores in chosen(card.per_image).items():
        examples[kind] = []
        for one in scores:
            image, truth, guess = sample(int(one.name.partition("-")[2]), classes)
            examples[kind].append(Example(one, image if photographs else None, truth, guess))
    return Report(card, examples, run)


def run_with_curves(folder: Path) -> Run:
    """A run of nothing but tables."""
    run = Run(folder).make()
    for step in range(10, 1010, 10):
        run.append(run.curves, {"iteration": step, "loss_per_pixel": 3 / step})
    for step in (250, 500, 750, 1000):
        run.append(run.scores, {"iteration": step, "loss": 1.0, "mean IU": step / 2000})
    return run
