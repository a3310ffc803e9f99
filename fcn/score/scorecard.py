"""A score as text, JSON, CSV and pictures, beside the published numbers."""

from __future__ import annotations

import csv
import io
import json
import math
import textwrap
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from ..figures import drawn
from ..outputs import replace_text
from ..tables import html_table, percent
from . import text
from .counts import COUNTS, Stored, Tally
from .heatmap import confusion_html, draw_confusion
from .images import ImageScore, image_scores, images_csv, worst
from .metrics import ABSENT_CLASS_RULE, METRICS, Scores
from .published import Published, published
from .trimap import RULE as TRIMAP_RULE
from .trimap import draw_trimap, trimap_facts, trimap_table


@dataclass(frozen=True)
class Scorecard:
    """One scored set of images.

    Attributes:
        tally: what was counted of each image.
        classes: their names, in the order of the label values.
        model: its id, to stand beside what was published.
        split: the list of images, if there was one.
        unseen: classes that are known to be in none of them, and have no part in a mean.
        labeling: what the labels are, where a net has more than one kind.
        weights: the name of the file that the net was read from.
        more: the scores of the net's other labelings.
    """

    title: str
    tally: Tally
    classes: tuple[str, ...]
    model: str | None = None
    split: str | None = None
    unseen: tuple[str, ...] = ()
    labeling: str = ""
    weights: str | None = None
    more: tuple[Scorecard, ...] = ()

    @property
    def hist(self) -> np.ndarray:
        """n x n pixels, row = truth."""
        return self.tally.hist

    @property
    def images(self) -> int:
        """How many were scored."""
        return len(self.tally.images)

    @property
    def void(self) -> int:
        """Pixels left out."""
        return self.tally.void

    @property
    def scores(self) -> Scores:
        return Scores(self.hist, self._unseen)

    @cached_property
    def near(self) -> dict[int, Scores]:
        """Width -> the scores of the pixels so near to a boundary; see `fcn.score.trimap`."""
        return {width: Scores(hist, self._unseen) for width, hist in self.tally.bands.items()}

    @property
    def _unseen(self) -> tuple[int, ...]:
        return tuple(k for k, name in enumerate(self.classes) if name in self.unseen)

    @cached_property
    def per_image(self) -> tuple[ImageScore, ...]:
        """The numbers of each image, in the order of the list."""
        return image_scores(self.tally, self._unseen)

    @property
    def published(self) -> tuple[Published, ...]:
        return published(self.model, len(self.classes), self.labeling)

    def text(self) -> str:
        """Everything a reader wants, as plain text."""
        return "\n".join([self._text(), *(card.text() for card in self.more)])

    def _text(self) -> str:
        scores = self.scores
        parts = [
            f"{self.title}: {self._scored}",
            "",
            text.against_published(scores, self.published),
            "",
            f"mean Dice {percent(scores.mean_dice)}",
            "",
            text.per_class(scores, self.classes),
            *text.absent(scores, self.classes, self.unseen),
            "",
            text.worst_images(worst(self.per_image)),
            *self._near_boundaries(),
            "",
            "confusion, % of the true class (row) predicted as (column)",
            text.confusion(self.hist, self.classes),
            "",
            textwrap.fill(f"The rule of absent classes: {ABSENT_CLASS_RULE}.", 110),
        ]
        return "\n".join(parts) + "\n"

    def _repr_html_(self) -> str:
        """What a notebook shows: the numbers, the classes, the confusion as a heat map."""
        scores = self.scores
        parts = [
            f"<p><strong>{escape(self.title)}</strong>: {self._scored}</p>",
            text.against_published(scores, self.published, html_table),
            text.per_class(scores, self.classes, html_table),
            *(f"<p>{escape(line)}</p>" for line in text.absent(scores, self.classes, self.unseen)),
            confusion_html(self.hist, self.classes),
            *(card._repr_html_() for card in self.more),
        ]
        return "\n".join(parts)

    @property
    def _scored(self) -> str:
        return f"{self.images} images, {int(self.hist.sum())} pixels scored, {self.void} void"

    def _near_boundaries(self) -> list[str]:
        if not self.near:
            return []
        return ["", trimap_table(self.near, self.scores), textwrap.fill(f"Of the {TRIMAP_RULE}.", 110)]

    def as_dict(self) -> dict[str, Any]:
        """For JSON: numbers are fractions of 1, published ones percent; what is not defined is None."""
        scores = self.scores
        iu, dice, accuracy = scores.class_iu, scores.class_dice, scores.class_accuracy
        rows = [
            {
                "name": name,
                "iu": _none(iu[i]),
                "dice": _none(dice[i]),
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
            "weights": self.weights,
            "images": self.images,
            "void_pixels": self.void,
            "metrics": {k: _none(v) for k, v in scores.numbers().items()},
            "absent_class_rule": ABSENT_CLASS_RULE,
            "published": paper,
            "classes": rows,
            "confusion": self.hist.tolist(),
            "per_image": [one.as_dict() for one in self.per_image],
            **({"trimap": trimap_facts(self.near)} if self.near else {}),
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
        writer.writerows((name, *row) for name, row in zip(self.classes, self.hist.tolist()))
        return out.getvalue()

    @property
    def stored(self) -> Stored:
        """The counts of each image, to be written."""
        return Stored(self.tally, self.classes, self.unseen, self.weights or "")

    def write(self, folder: str | Path) -> Path:
        """The score into a folder, made if missing.

        score.txt, score.json, score.csv, confusion.csv, images.csv, images.npz with the histogram of each
        image, and the pictures confusion.png and, with bands along boundaries, trimap.png. What is of further
        labelings goes into folders of their names in it.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in (
            ("score.txt", self.text()),
            ("score.json", self.json()),
            ("score.csv", self.csv()),
            ("confusion.csv", self.confusion_csv()),
            ("images.csv", images_csv(self.per_image)),
        ):
            replace_text(folder / name, content)
        self.stored.save(folder / COUNTS)
        self._draw(folder)
        for card in self.more:
            card.write(folder / card.labeling)
        return folder

    def _draw(self, folder: Path) -> None:
        matrix, trimap = folder / "confusion.png", folder / "trimap.png"
        for path, draw in (
            (matrix, lambda: draw_confusion(self.hist, self.classes, matrix)),
            (trimap, lambda: draw_trimap(self.near, self.scores, trimap) if self.near else None),
        ):
            if not drawn(path, draw):
                path.unlink(missing_ok=True)  # of an earlier score


def _none(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
