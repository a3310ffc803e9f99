"""Scored images made of a few numbers, for the tests of pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from fcn.report import Labeled, Report
from fcn.report.choice import chosen
from fcn.report.pictures import Example
from fcn.runs import Run
from fcn.score import ImageCount, Scorecard, Tally, fast_hist
from fcn.score.counts import Cells
from fcn.score.trimap import bands

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


def scorecard(
    classes: int, images: int = 12, model: str | None = None, widths: Sequence[int] = ()
) -> Scorecard:
    """The scorecard of so many samples. widths: of the bands along boundaries."""
    counts = []
    for k in range(images):
        _, truth, guess = sample(k, classes)
        near, cells = bands(truth, guess, widths, classes), Cells.of(fast_hist(truth, guess, classes))
        counts.append(ImageCount(f"image-{k}", cells, 8 * SIDE, near))
    return Scorecard(f"a net on {classes} classes", Tally(classes, tuple(counts)), names(classes), model)


def labeled(card: Scorecard, name: str = "", photographs: bool = True) -> Labeled:
    """A scorecard of samples, with some of them to look into."""
    examples = {}
    for kind, scores in chosen(card.per_image).items():
        examples[kind] = []
        for one in scores:
            image, truth, guess = sample(int(one.name.partition("-")[2]), len(card.classes))
            examples[kind].append(Example(one, image if photographs else None, truth, guess))
    return Labeled(card, examples, name)


def report(classes: int, run: Run | None = None, photographs: bool = True) -> Report:
    """The report of `scorecard`."""
    card = scorecard(classes, widths=(1, 2, 4, 8))
    return Report(card.title, [labeled(card, photographs=photographs)], run)


def report_of_two(run: Run | None = None) -> Report:
    """A net that says two things of a pixel: of 5 classes, and of 3, the first of which is the ground."""
    first, second = scorecard(5, widths=(1, 2, 4)), scorecard(3, widths=(1, 2, 4))
    second = replace(second, classes=("background", "upright", "flat"))
    return Report("a net of two labelings", [labeled(first, "semantic"), labeled(second, "geometric")], run)


def run_with_curves(folder: Path) -> Run:
    """A run of nothing but tables."""
    run = Run(folder).make()
    for step in range(10, 1010, 10):
        run.append(run.curves, {"iteration": step, "loss_per_pixel": 3 / step})
    for step in (250, 500, 750, 1000):
        run.append(run.scores, {"iteration": step, "loss": 1.0, "mean IU": step / 2000})
    return run
