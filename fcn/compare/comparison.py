"""The numbers of several runs on the same images, and what of the differences is more than chance."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from voc_layers.reading import SampleError

from ..score.counts import Stored, Tally
from ..score.metrics import METRICS, Scores
from ..score.text import COLUMNS
from ..tables import percent, table, tails
from .bootstrap import interval, margins, resampled

#: Of the intervals.
LEVEL = 0.95
#: A message names so many images.
NAMED = 10


@dataclass(frozen=True)
class Estimate:
    """A number and its interval, as fractions of 1."""

    value: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether it is, by its interval, not 0."""
        return self.low > 0 or self.high < 0

    def text(self, signed: bool = False) -> str:
        """In percent."""
        low, high = percent(self.low, signed), percent(self.high, signed)
        return f"{percent(self.value, signed)} [{low}, {high}]"

    def as_dict(self) -> dict[str, float | None]:
        """For JSON."""
        return {
            key: None if math.isnan(value) else value
            for key, value in (("value", self.value), ("low", self.low), ("high", self.high))
        }


@dataclass(frozen=True)
class Row:
    """A run: its four numbers, and how far they are from those of the first run; None for that itself."""

    name: str
    numbers: tuple[Estimate, ...]
    differences: tuple[Estimate, ...] | None = None


@dataclass(frozen=True)
class Comparison:
    """Runs on the same images. draws, seed: of the resampling."""

    rows: tuple[Row, ...]
    images: int
    draws: int
    seed: int

    def text(self) -> str:
        """Two tables: the numbers, and the differences to the first run; of paths what tells them apart."""
        named = list(zip(tails([Path(row.name) for row in self.rows]), self.rows))
        (first, _), *others = named
        parts = [
            f"{self.images} images; percent, with {100 * LEVEL:g} % intervals of {self.draws} draws of the "
            f"images (seed {self.seed})",
            "",
            table(("", *COLUMNS), [(name, *(one.text() for one in row.numbers)) for name, row in named]),
            "",
            table(
                (f"difference to {first}", *COLUMNS),
                [(name, *map(_marked, row.differences or ())) for name, row in others],
            ),
            "",
            "*: the interval excludes 0. Intervals are about other images like these, not another training.",
        ]
        return "\n".join(parts) + "\n"

    def as_dict(self) -> dict[str, Any]:
        """For JSON: fractions of 1."""
        runs = []
        for row in self.rows:
            run: dict[str, Any] = {"run": row.name, "metrics": _by_metric(row.numbers)}
            if row.differences is not None:
                found = _by_metric(row.differences)
                for name, one in zip(METRICS, row.differences):
                    found[name]["excludes_zero"] = one.excludes_zero
                run["differences"] = found
            runs.append(run)
        return {
            "images": self.images,
            "draws": self.draws,
            "seed": self.seed,
            "level": LEVEL,
            "differences_to": self.rows[0].name,
            "runs": runs,
        }

    def json(self) -> str:
        """`as_dict` as text."""
        return json.dumps(self.as_dict(), indent=2) + "\n"


def _marked(one: Estimate) -> str:
    return one.text(signed=True) + (" *" if one.excludes_zero else "  ")


def _by_metric(estimates: Sequence[Estimate]) -> dict[str, dict[str, Any]]:
    return {name: one.as_dict() for name, one in zip(METRICS, estimates)}


def compare(runs: Sequence[tuple[str, Stored]], draws: int = 2000, seed: int = 0) -> Comparison:
    """The comparison of scores, by name, with the first of them.

    Raises:
        SampleError: they are not of the same images, classes and labels; says which are not.
    """
    (first_name, first), *_ = runs
    rows: list[Row] = []
    base = np.empty(0)
    for name, stored in runs:
        tally = _matched(first_name, first, name, stored)
        unseen = tuple(k for k, label in enumerate(first.classes) if label in first.unseen)
        drawn = resampled(margins(tally, unseen), draws, seed)
        values = np.array(Scores(tally.hist, unseen).four())
        numbers = _estimates(values, drawn)
        if rows:
            gaps = _estimates(values - [one.value for one in rows[0].numbers], drawn - base)
            rows.append(Row(name, numbers, gaps))
        else:
            base = drawn
            rows.append(Row(name, numbers))
    return Comparison(tuple(rows), len(first.tally.images), draws, seed)


def _estimates(values: np.ndarray, drawn: np.ndarray) -> tuple[Estimate, ...]:
    bounds = (interval(column, LEVEL) for column in drawn.T)
    return tuple(Estimate(float(value), low, high) for value, (low, high) in zip(values, bounds))


def _matched(first_name: str, first: Stored, name: str, other: Stored) -> Tally:
    """The tally of another run with its images in the order of the first run's."""
    if other.classes != first.classes:
        raise SampleError(f"{name} and {first_name} were scored with different classes")
    ours, theirs = ({image.name: image for image in one.tally.images} for one in (first, other))
    if ours.keys() != theirs.keys():
        alone = {first_name: ours.keys() - theirs.keys(), name: theirs.keys() - ours.keys()}
        which = "; ".join(f"only in {run}: {_some(sorted(names))}" for run, names in alone.items() if names)
        raise SampleError(f"{name} and {first_name} were scored on different images; {which}")
    n = first.tally.classes
    for key, image in ours.items():
        same = np.array_equal(image.cells.hist(n).sum(1), theirs[key].cells.hist(n).sum(1))
        if not same or image.void != theirs[key].void:
            raise SampleError(
                f"{name} and {first_name} were scored against different labels of {key}; score both again"
            )
    return Tally(n, tuple(theirs[key] for key in ours))


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if names[NAMED:] else ""
    return ", ".join(names[:NAMED]) + more
