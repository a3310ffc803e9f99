"""Line charts as the shapes of an SVG: where lines, dots and ticks lie."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..plotting import Curve, smoothed

WIDTH, HEIGHT = 460, 280
LEFT, RIGHT, TOP, BOTTOM = 52, WIDTH - 22, 14, HEIGHT - 44
#: A line has so many points at most: neighbours are put together.
POINTS = 300
#: A curve of more values is drawn pale, under the running mean of a twentieth of them.
NOISY = 60
#: Lines of so many points at most have dots, which say their numbers.
DOTS = 25


@dataclass(frozen=True)
class Scale:
    """Values to places on the page: `low` lies at `start`, `high` at `end`."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """The place of a value, to a tenth of a pixel."""
        low, high, value = (math.log(v) for v in (self.low, self.high, value)) if self.log else (
            self.low, self.high, value)  # fmt: skip
        return round(self.start + (value - low) / (high - low) * (self.end - self.start), 1)


class Across(NamedTuple):
    """The axis along a chart: its name, its ticks (by default round values), whether it is logarithmic."""

    name: str = "step"
    ticks: Sequence[float] = ()
    log: bool = False


STEPS = Across()


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round values from `low` to `high`, about `count` of them."""
    step = 10 ** math.floor(math.log10((high - low) / count))
    step *= next(factor for factor in (1, 2, 5, 10) if (high - low) / (step * factor) <= count)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [k * step for k in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten from `low` to `high`; with two and five times these where there are few."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1,), (1, 3), (1, 2, 5)):
        found = [f * 10.0**d for d in decades for f in factors if low <= f * 10.0**d <= high]
        if len(found) >= 3:
            break
    return found


def thinned(curve: Curve, points: int = POINTS) -> Curve:
    """The curve in at most so many points, means of neighbours."""
    x, y = curve
    width = math.ceil(len(x) / points)
    groups = [slice(i, i + width) for i in range(0, len(x), max(1, width))]
    return [sum(x[g]) / len(x[g]) for g in groups], [sum(y[g]) / len(y[g]) for g in groups]


def chart(
    title: str, lines: Mapping[str, Curve], log: bool = False, share: bool = False, along: Across = STEPS
) -> dict[str, Any] | None:
    """A chart for the template; None where no line has two points.

    Args:
        lines: name -> curve; the name of an only one is not shown. The first is what the chart is of, others
            are drawn broken beside it.
        log: the values on a logarithmic axis, if all are above 0.
        share: the values are percent, on an axis from 0.
    """
    lines = {name: curve for name, curve in lines.items() if len(curve[0]) > 1}
    if not lines:
        return None
    values = [value for _, y in lines.values() for value in y]
    first, last = min(x[0] for x, _ in lines.values()), max(x[-1] for x, _ in lines.values())
    log = log and min(values) > 0
    across = Scale(first, max(last, first + 1), LEFT, RIGHT, along.log)
    up = Scale(*_range(values, log, share), BOTTOM, TOP, log)
    marks = log_ticks(up.low, up.high) if log else []
    marks = marks if len(marks) >= 3 else ticks(up.low, up.high)
    unit = " %" if share else ""
    told = [_summary(name, curve, unit, along.name, max if share else min) for name, curve in lines.items()]
    return {
        "title": title,
        "unit": "%" if share else "logarithmic" if log else "",
        "summary": "; ".join(told),
        "key": [*lines] if len(lines) > 1 else [],
        "width": WIDTH,
        "height": HEIGHT,
        "left": LEFT,
        "right": RIGHT,
        "bottom": BOTTOM,
        "along": along.name,
        "x_ticks": [
            {"at": across.at(t), "text": f"{t:,.0f}"}
            for t in along.ticks or ticks(across.low, across.high, 4)
        ],
        "y_ticks": [{"at": up.at(t), "text": f"{t:.6g}"} for t in marks],
        "lines": [
            line
            for place, curve in enumerate(lines.values())
            for line in _drawn(curve, across, up, along.name, place > 0)
        ],
    }


def _summary(name: str, curve: Curve, unit: str, along: str, best: Callable[[Sequence[float]], float]) -> str:
    """What a line shows, in words."""
    x, y = curve
    extreme = f"{'highest' if best is max else 'lowest'} {best(y):.4g}{unit}"
    ends = f"{y[0]:.4g}{unit} at {along} {x[0]:g}, {y[-1]:.4g}{unit} at {along} {x[-1]:g}"
    return f"{name + ': ' if name else ''}{ends}, {extreme}"


def _drawn(curve: Curve, across: Scale, up: Scale, along: str, beside: bool) -> list[dict[str, Any]]:
    """The lines of a curve: itself and, where it has many values, their running mean over it."""
    noisy = len(curve[0]) > NOISY
    lines = [_line(curve, across, up, along, "beside" if beside else "pale" if noisy else "")]
    if noisy:
        lines.append(_line(smoothed(curve, len(curve[0]) // 20), across, up, along, ""))
    return lines


def _range(y: Sequence[float], log: bool, share: bool) -> tuple[float, float]:
    low, high = (0.0 if share else min(y)), max(y)
    if log:
        return low / 1.1, high * 1.1
    room = 0.06 * (high - low) or 1.0
    return (0.0 if share else low - room), high + room


def _line(curve: Curve, across: Scale, up: Scale, along: str, look: str) -> dict[str, Any]:
    x, y = thinned(curve)
    places = [(across.at(a), up.at(b)) for a, b in zip(x, y)]
    dots = [] if len(x) > DOTS or look == "beside" else [
        {"x": px, "y": py, "text": f"{along} {a:g}: {b:.4g}"} for (px, py), a, b in zip(places, x, y)
    ]  # fmt: skip
    return {"points": " ".join(f"{px},{py}" for px, py in places), "dots": dots, "look": look}
