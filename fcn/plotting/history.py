"""The tables of a run, `curves.csv` and `scores.csv`, as curves over the steps; stages follow each other."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from voc_layers.reading import SampleError

from ..runs import Run, read_rows

#: Steps, and a value at each.
Curve = tuple[list[float], list[float]]
#: Columns that say where on the curve a row is.
_PLACES = ("iteration", "images", "seconds")


@dataclass(frozen=True)
class History:
    """What one run wrote. name: in a legend. start: the steps of the stages before it."""

    name: str
    run: Run
    start: int = 0

    @cached_property
    def curves(self) -> dict[str, Curve]:
        """Column -> its curve, with `start` added to the steps; values that are no numbers are left out.

        Raises:
            ValueError: a file that is no table of a training.
        """
        found: dict[str, Curve] = {}
        for path in (self.run.curves, self.run.scores):
            rows = read_rows(path) if path.is_file() else []
            for column in [name for name in (rows[0] if rows else ()) if name not in _PLACES]:
                found[column] = _curve(rows, column, self.start)
        return found

    @property
    def end(self) -> int:
        """The last step that a row stands for."""
        return int(max((x[-1] for x, _ in self.curves.values() if x), default=self.start))

    def after(self, steps: int) -> History:
        """The same, drawn `steps` further on."""
        return History(self.name, self.run, steps)


def _curve(rows: Sequence[Mapping[str, str]], column: str, start: int) -> Curve:
    pairs = [(start + float(row["iteration"]), _number(row.get(column))) for row in rows]
    known = [(x, y) for x, y in pairs if math.isfinite(y)]
    return [x for x, _ in known], [y for _, y in known]


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan


def histories(folder: Path) -> list[History]:
    """The run in a folder or, where it holds runs, those: each after the one whose weights it started from.

    Raises:
        SampleError: neither; says what was expected.
        ValueError: a run whose files are damaged.
    """
    if _is_run(folder):
        return [History(folder.name, Run(folder))]
    inside = sorted(path for path in folder.iterdir() if _is_run(path)) if folder.is_dir() else []
    if not inside:
        raise SampleError(
            f"{folder}: expected the folder of a run, with a curves.csv, or one that holds such folders; "
            f"found {'neither' if folder.is_dir() else 'nothing'}"
        )
    return one_after_the_other([History(path.name, Run(path)) for path in inside])


def _is_run(path: Path) -> bool:
    run = Run(path)
    return run.curves.is_file() or run.scores.is_file()


def one_after_the_other(stages: Iterable[History]) -> list[History]:
    """Each stage after the one of them that its weights come from, in the order of their starts."""
    waiting = {stage.run.path.name: stage for stage in stages}
    before = {name: _before(stage.run) for name, stage in waiting.items()}
    placed: dict[str, History] = {}
    while waiting:
        ready = [name for name in waiting if before[name] not in waiting or before[name] == name]
        for name in ready or list(waiting):  # runs that started from each other in a circle start at 0
            parent = placed.get(before[name] or "")
            placed[name] = waiting.pop(name).after(parent.end if parent else 0)
    return sorted(placed.values(), key=lambda stage: stage.start)


def _before(run: Run) -> str | None:
    """The name of the run that this one's weights come from; it may have been moved together with it."""
    job = run.job()
    found = (Run.holding(path) for path in (job.weights if job else ()))
    return next((source.path.name for source in found if source), None)


def smoothed(curve: Curve, points: int) -> Curve:
    """The running mean of up to `points` values around each; at the ends of those that there are."""
    x, y = curve
    before, sums = points // 2, [0.0, *itertools.accumulate(y)]
    after = points - before
    windows = [(max(0, i - before), min(len(y), i + after)) for i in range(len(y))]
    return list(x), [(sums[last] - sums[first]) / (last - first) for first, last in windows]
