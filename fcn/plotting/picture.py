"""Pictures of histories, by matplotlib (the extra `report`)."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..figures import curves, drawn
from ..runs import Run
from .history import Curve, History, smoothed

log = logging.getLogger("fcn")

#: Drawn where nobody says what: the first is there in every run, one of the others where a run is scored.
LOSS = "loss_per_pixel"
SCORES = ("mean IU", "accuracy")


def default_columns(stages: Iterable[History]) -> list[str]:
    """The loss and the score that runs are judged by, as far as one of them has it."""
    there = {column for stage in stages for column in stage.curves}
    score = next((name for name in SCORES if name in there), None)
    return [name for name in (LOSS, score) if name in there]


def title(column: str) -> str:
    """What a column is called in a picture."""
    return column.replace("_", " ")


def draw_histories(
    stages: Sequence[History],
    path: Path,
    columns: Sequence[str] = (),
    smooth: int = 1,
    log_scale: bool | None = None,
) -> Path | None:
    """Draw a panel for each column, in it a line for each history that has it; None without matplotlib.

    Args:
        columns: of `curves.csv` and `scores.csv`; by default the loss per pixel and the mean IU.
        smooth: how many values a running mean is taken over; above 1 the values stand behind it, pale.
        log_scale: of the values; by default for a loss.

    Raises:
        ValueError: a column that no history has; says which there are.
    """
    columns = list(columns) or default_columns(stages)
    panels = {title(column): _lines(stages, column) for column in columns}
    behind = panels if smooth > 1 else {}
    if smooth > 1:
        panels = {
            text: {name: smoothed(curve, smooth) for name, curve in lines.items()}
            for text, lines in panels.items()
        }
    logarithmic = [text for text in panels if log_scale or (log_scale is None and "loss" in text)]
    return curves(panels, path, x_label="step", log_scale=logarithmic, behind=behind)


def _lines(stages: Sequence[History], column: str) -> dict[str, Curve]:
    found = {stage.name: stage.curves[column] for stage in stages if column in stage.curves}
    if not found:
        there = list(dict.fromkeys(name for stage in stages for name in stage.curves))
        raise ValueError(f"no column '{column}' in {_tables(stages)}; there are {', '.join(there) or 'none'}")
    return found


def _tables(stages: Sequence[History]) -> str:
    return ", ".join(f"{stage.run.curves} and {stage.run.scores.name}" for stage in stages)


def draw_run(run: Run) -> Path | None:
    """Draw a run's `curves.png`; None, and no error, where there is nothing to draw or to draw it with."""
    stage = History(run.path.name, run)
    try:
        if all(len(x) < 2 for x, _ in stage.curves.values()):
            return None
    except ValueError as error:
        log.warning("%s is not drawn: %s", run.picture, error)
        return None
    try:
        done = drawn(run.picture, lambda: draw_histories([stage], run.picture))
    except OSError as error:
        log.warning("%s is not drawn: %s", run.picture, error.strerror)
        return None
    return run.picture if done else None
