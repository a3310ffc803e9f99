"""The picture of a result: time and memory against image size, ratios of all nets, the engine's layers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from .case import INFERENCE
from .contest import Row
from .peers import CONTESTANTS
from .results import Results

#: Operations a byte between which the roofline is drawn.
_INTENSITIES = (0.1, 1000.0)


def draw(results: Results, path: Path) -> None:
    """Write the picture; panels without data stay empty."""
    figure = Figure(figsize=(14, 10), layout="constrained")
    FigureCanvasAgg(figure)
    time, memory, ratios, roof = figure.subplots(2, 2).flat
    _against_size(results, time, "seconds", lambda row: row.median)
    _against_size(results, memory, "GiB", lambda row: row.peak / 2**30 if row.median and row.peak else None)
    time.set(title="Time of a forward", xscale="log", yscale="log")
    memory.set(title="Peak memory of the process", xscale="log", ylim=(0, None))
    _ratios(results, ratios)
    _roofline(results, roof)
    figure.savefig(path, dpi=100)


def _against_size(results: Results, axes: Axes, unit: str, value: Callable[[Row], float | None]) -> None:
    """A line for each contestant over the sizes of the first model."""
    inference = [outcome for outcome in results.outcomes if outcome.task == INFERENCE]
    outcomes = [outcome for outcome in inference if outcome.model == inference[0].model]
    for number, (name, contestant) in enumerate(CONTESTANTS.items()):
        found = [(o.size[0] * o.size[1] / 1e6, value(row)) for o in outcomes if (row := o.row(name))]
        points = sorted((x, y) for x, y in found if y is not None)
        if points:
            style: dict[str, Any] = {"color": f"C{number}", "linewidth": 3 if name == "engine" else 1}
            axes.plot(*zip(*points), marker="o", label=contestant.label, **style)
    axes.set(xlabel=f"{inference[0].label if inference else ''}: megapixels of the image", ylabel=unit)
    axes.grid(alpha=0.3, which="both")
    if axes.lines:
        axes.legend(frameon=False, fontsize="small")


def _ratios(results: Results, axes: Axes) -> None:
    """A dot for each contestant in each case."""
    titles = [outcome.title for outcome in results.outcomes]
    for number, (name, contestant) in enumerate(CONTESTANTS.items()):
        found = [(o.ratio(name), index) for index, o in enumerate(results.outcomes)]
        points = [(ratio, index) for ratio, index in found if ratio is not None]
        if points and name != "engine":
            axes.plot(*zip(*points), "o", color=f"C{number}", label=contestant.label)
    axes.axvline(1, color="black", linewidth=1)
    axes.set(title="Time over the engine's (right of the line the engine is faster)", xscale="log")
    axes.xaxis.set_major_locator(LogLocator(base=2))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda ratio, _: f"{ratio:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_yticks(range(len(titles)), titles)
    axes.invert_yaxis()
    axes.grid(alpha=0.3, axis="x", which="both")
    if len(axes.lines) > 1:
        axes.legend(frameon=False, fontsize="small")


def _roofline(results: Results, axes: Axes) -> None:
    limits = results.limits
    ridge = limits.gflops / limits.gbytes
    xs = [_INTENSITIES[0], ridge, _INTENSITIES[1]]
    axes.plot(xs, [min(limits.gflops, x * limits.gbytes) for x in xs], color="black", label="limit, measured")
    for title, layers in results.layers.items():
        axes.plot(
            [layer.intensity for layer in layers],
            [layer.gflops for layer in layers],
            "o",
            markersize=4,
            label=title,
        )
    axes.set(
        title="The engine's layers", xlabel="operations a byte", ylabel="GFLOP/s", xscale="log", yscale="log"
    )
    axes.grid(alpha=0.3, which="both")
    axes.legend(frameon=False, fontsize="small")
