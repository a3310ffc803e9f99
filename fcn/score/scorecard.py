"""A score as text, JSON and CSV, beside the published numbers."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..tables import percent, table
from .metrics import METRICS, Scores
from .published import Published, published

COLUMNS = ("pixel acc.", "mean acc.", "mean IU", "f.w. IU")  # as the paper heads its tables


def summary(rows: Mapping[str, Scores]) -> str:
    """The paper's Table 2: a row per net, its four numbers in percent."""
    return table(("", *COLUMNS), [(name, *map(percent, scores.four())) for name, scores in rows.items()])


@dataclass(frozen=True)
class Scorecard:
    """One scored set of images.

    Attributes:
        hist: n x n pixels, row = truth.
        void: pixels left out.
        model: its id, to stand beside what was published.
        split: the list of images, if there was one.
        unseen: classes that are known to be in none of them, and have no part in a mean.
        labeling: what the labels are, where a net has more than one kind.
        more: the scores of the net's other labelings.
    """

    title: str
    hist: np.ndarray
    classes: tuple[str, ...]
    images: int
    void: int = 0
    model: str | None = None
    split: str | None = None
    unseen: tuple[str, ...] = ()
    labeling: str = ""
    more: tuple[Scorecard, ...] = ()

    @property
    def scores(self) -> Scores:
        return Scores(self.hist, tuple(k for k, name in enumerate(self.classes) if name in self.unseen))

    @property
    def published(self) -> tuple[Published, ...]:
        return published(self.model, len(self.classes), self.labeling)

    def text(self) -> str:
        """Everything a reader wants, as plain text."""
        return "\n".join([self._text(), *(card.text() for card in self.more)])

    def _text(self) -> str:
        scored = f"{self.images} images, {int(self.hist.sum())} pixels scored, {self.void} void"
        title = "confusion, % of the true class (row) predicted as (column)"
        parts = [
            f"{self.title}: {scored}",
            "",
            self._numbers(),
            "",
            self._per_class(),
            *self._absent(),
            "",
            title,
            self._confusion(),
        ]
        return "\n".join(parts) + "\n"

    def _numbers(self) -> str:
        ours = self.scores.four()
        rows = [("this", *map(percent, ours))]
        for row in self.published:
            theirs = [None if v is None else v / 100 for v in row.values]
            rows.append((row.source, *map(percent, theirs)))
            gaps = [None if t is None else o - t for o, t in zip(ours, theirs)]
            rows.append(("  difference", *(percent(gap, signed=True) for gap in gaps)))
        return table(("%", *COLUMNS), rows)

    def _per_class(self) -> str:
        iu, accuracy, true = self.scores.class_iu, self.scores.class_accuracy, self.hist.sum(1)
        share = true / max(true.sum(), 1)
        rows = [
            (name, percent(iu[i]), percent(accuracy[i]), percent(share[i]), str(int(true[i])))
            for i, name in enumerate(self.classes)
        ]
        return table(("class", "IU", "accuracy", "share", "true pixels"), rows)

    def _absent(self) -> list[str]:
        absent = [name for name, iu in zip(self.classes, self.scores.class_iu) if math.isnan(iu)]
        if not absent:
            return []
        verb = "true nowhere" if set(absent) <= set(self.unseen) else "neither true nor predicted"
        return [f"{verb}, left out of the means: {', '.join(absent)}"]

    def _confusion(self) -> str:
        true = np.maximum(self.hist.sum(1, keepdims=True), 1)
        cells = np.rint(100 * self.hist / true).astype(int)
        header = ("", *(str(i) for i in range(len(self.classes))))
        return table(
            header,
            [
                (f"{i} {name}", *(str(c) if c else "." for c in cells[i]))
                for i, name in enumerate(self.classes)
            ],
        )

    def as_dict(self) -> dict[str, Any]:
        """For JSON: numbers are fractions of 1, published ones percent; what is not defined is None."""
        iu, accuracy = self.scores.class_iu, self.scores.class_accuracy
        rows = [
            {
                "name": name,
                "iu": _none(iu[i]),
                "accuracy": _none(accuracy[i]),
                "true_pixels": int(self.hist[i].sum()),
                "predicted_pixels": int(self.hist[:, i].sum()),
            }
            for i, name in enumerate(self.classes)
        ]
        paper = [{"source": p.source, "percent": dict(zip(METRICS, p.values))} for p in self.published]
        more = {"labelings": {card.labeling: card.as_dict() for card in self.more}} if self.more else {}
        return {
            "title": self.title,
            "model": self.model,
            "images": self.images,
            "void_pixels": self.void,
            "metrics": {k: _none(v) for k, v in self.scores.means().items()},
            "published": paper,
            "classes": rows,
            "confusion": self.hist.astype(int).tolist(),
            **more,
        }

    def json(self) -> str:
        """`as_dict` as text."""
        return json.dumps(self.as_dict(), indent=2) + "\n"

    def csv(self) -> str:
        """A line per class, then a line per metric."""
        facts = self.as_dict()
        out = io.StringIO()
        writer = csv.DictWriter(out, list(facts["classes"][0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(facts["classes"])
        writer.writerows({"name": name, "iu": value} for name, value in facts["metrics"].items())
        return out.getvalue()

    def confusion_csv(self) -> str:
        """The histogram with class names: first column the truth, header the predictions."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(("truth", *self.classes))
        writer.writerows((name, *row) for name, row in zip(self.classes, self.hist.astype(int).tolist()))
        return out.getvalue()

    def write(self, folder: str | Path) -> Path:
        """score.txt, score.json, score.csv and confusion.csv into a folder, made if missing.

        The tables of further labelings go into folders of their names in it.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "score.txt").write_text(self.text())
        (folder / "score.json").write_text(self.json())
        (folder / "score.csv").write_text(self.csv())
        (folder / "confusion.csv").write_text(self.confusion_csv())
        for card in self.more:
            card.write(folder / card.labeling)
        return folder


def _none(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
