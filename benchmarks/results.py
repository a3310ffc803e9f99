"""What a benchmark found: the file from which tables, plots and documents are made."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .case import INFERENCE, TRAINING
from .contest import Row
from .machine import Limits, Machine
from .roofline import Layer

FOLDER = Path(__file__).resolve().parent / "results"
#: Operations of a task in those of one forward: training has gradients of the bottom and of the weights.
_PASSES = {INFERENCE: 1, TRAINING: 3}


@dataclass
class Outcome:
    """One case: model, (H, W), task, multiply-adds of one forward, one row for each contestant."""

    model: str
    label: str
    size: tuple[int, int]
    task: str
    macs: int
    rows: list[Row]

    @property
    def title(self) -> str:
        """For people: model, height x width, task."""
        height, width = self.size
        return f"{self.label}, {height} x {width}, {_TITLES[self.task]}"

    def row(self, contestant: str) -> Row | None:
        """The row of a contestant; None if it was not asked."""
        return next((row for row in self.rows if row.contestant == contestant), None)

    def ratio(self, contestant: str) -> float | None:
        """Its time over the engine's: above 1 the engine is faster. None unless both count."""
        row, engine = self.row(contestant), self.row("engine")
        if row is None or engine is None or not row.median or not engine.median:
            return None
        return row.median / engine.median

    def gflops(self, row: Row) -> float | None:
        """10^9 operations a second of direct arithmetic; who computes with less may exceed the peak."""
        return 2 * self.macs * _PASSES[self.task] / row.median / 1e9 if row.median else None


_TITLES = {INFERENCE: "forward", TRAINING: "training step"}


@dataclass
class Results:
    """A run of `make bench`.

    Attributes:
        commit: of this project, with a `+` if files differed from it.
        layers: title of the outcome -> the engine's layers.
    """

    date: str
    command: str
    commit: str
    machine: Machine
    threads: int
    limits: Limits
    outcomes: list[Outcome] = field(default_factory=list)
    layers: dict[str, list[Layer]] = field(default_factory=dict)

    @property
    def stem(self) -> str:
        """Date and processor: the name of the result's files."""
        return f"{self.date}-{re.sub('[^a-z0-9]+', '-', self.machine.cpu.lower()).strip('-')}"

    def save(self, path: Path) -> None:
        """Write the results as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def open(cls, path: Path) -> Results:
        """The results that `save` wrote."""
        stored: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        stored["machine"]["flags"] = tuple(stored["machine"]["flags"])
        stored["machine"] = Machine(**stored["machine"])
        stored["limits"] = Limits(**stored["limits"])
        for outcome in stored["outcomes"]:
            outcome["size"] = tuple(outcome["size"])
            outcome["rows"] = [Row(**row) for row in outcome["rows"]]
        stored["outcomes"] = [Outcome(**outcome) for outcome in stored["outcomes"]]
        stored["layers"] = {title: [Layer(**row) for row in rows] for title, rows in stored["layers"].items()}
        return cls(**stored)


def newest(folder: Path = FOLDER) -> Results | None:
    """The results of the latest date; None where there are none."""
    found = sorted(folder.glob("*.json"))
    return Results.open(found[-1]) if found else None
