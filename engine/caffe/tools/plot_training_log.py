"""``plot_training_log TYPE OUT LOG..``: a chart from training logs; needs the extra `report` (matplotlib)."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from typing import NamedTuple

from .._caffe.errors import CaffeError, MissingExtraError
from .command import command, write_file
from .parse_log import Row, parse_log


class Chart(NamedTuple):
    """What a chart shows over what; `column` is part of the name of an output, or a column."""

    table: str
    y: str
    x: str
    column: str

    def __str__(self) -> str:
        return f"{self.y} vs. {self.x}"


_COLUMNS = {"Iters": "NumIters", "Seconds": "Seconds"}
#: In the order of the numbers that Caffe's script gives them.
CHARTS = [
    Chart(y.split()[0], y, x, column)
    for y, column in (
        ("Test accuracy", "acc"),
        ("Test loss", "loss"),
        ("Train learning rate", "LearningRate"),
        ("Train loss", "loss"),
    )
    for x in _COLUMNS
]


@command
def main(argv: Sequence[str]) -> int:
    """Draw the chart of the logs into a picture.

    Raises:
        MissingExtraError: matplotlib is not installed. CaffeError: a log has no such values.
    """
    kinds = "\n".join(f"  {number}: {chart}" for number, chart in enumerate(CHARTS))
    parser = argparse.ArgumentParser(
        "plot_training_log",
        description="A chart from training logs.",
        epilog=f"chart types:\n{kinds}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("chart_type", type=int, choices=range(len(CHARTS)), help="a number of those below")
    parser.add_argument("picture", help="the file to write; its extension is the format, such as png or svg")
    parser.add_argument("logs", nargs="+", metavar="log", help="logs of caffe train")
    args = parser.parse_args(argv)
    plot(CHARTS[args.chart_type], args.picture, args.logs)
    return 0


def plot(chart: Chart, picture: str, logs: Sequence[str]) -> None:
    """Draw one line per log. Raises as `main` does."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("matplotlib", "report", "drawing a chart") from error
    axes = (figure := Figure(layout="constrained")).subplots()
    for path in logs:
        x, y = points(chart, path)
        axes.plot(x, y, marker="." if len(x) < 100 else "", linewidth=0.75,
                  label=os.path.basename(path).removesuffix(".log"))  # fmt: skip
    axes.set(title=str(chart), xlabel=chart.x, ylabel=chart.y)
    axes.legend(loc="lower right" if "accuracy" in chart.y else "upper right")
    kind = os.path.splitext(picture)[1].removeprefix(".")
    drawn = io.BytesIO()
    try:
        figure.savefig(drawn, format=kind or "png")
    except ValueError as error:
        raise CaffeError(f"cannot write '{picture}': {error}") from error
    write_file(picture if kind else f"{picture}.png", drawn.getvalue())


def points(chart: Chart, path: str) -> tuple[list[float], list[float]]:
    """x and y of a log's points.

    Raises:
        CaffeError: the log has no output whose name fits the chart.
    """
    train, test = parse_log(path)
    rows = train if chart.table == "Train" else test
    column = next((name for name in _names(rows) if chart.column in name), None)
    if column is None:
        found = ", ".join(_names(rows)) or "none"
        raise CaffeError(f"'{path}' has nothing for '{chart}': no {chart.column} in its columns ({found})")
    kept = [row for row in rows if column in row]
    return [row[_COLUMNS[chart.x]] for row in kept], [row[column] for row in kept]


def _names(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


if __name__ == "__main__":
    sys.exit(main())
