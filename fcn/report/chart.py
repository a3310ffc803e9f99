"""Line charts as the shapes of an SVG: where lines, dots and ticks lie."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..plotting import Curve, smoothed

WIDTH, HEIGHT = 460, 280
LEFT, RIGHT, TOP, BOTTOM = 52, WIDTH - 22, 14, HEIGHT - 44
#: A line has so many points at most: neighbours are put together.
POINTS = 300
#: A curve of more values is drawn pale, under the running mean of a twentieth of them.
NOISY = 60


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


def chart(title: str, curve: Curve, log: bool = False, share: bool = False) -> dict[str, Any] | None:
    """A chart of one curve, for the template; None where it has fewer than two points.

    Args:
        log: the values on a logarithmic axis, if all are above 0.
        share: the values are fractions of 1 and shown in percent, on an axis from 0.
    """
    x, y = curve
    if len(x) < 2:
        return None
    y = [100 * value for value in y] if share else list(y)
    log = log and min(y) > 0
    across = Scale(x[0], max(x[-1], x[0] + 1), LEFT, RIGHT)
    up = Scale(*_range(y, log, share), BOTTOM, TOP, log)
    lines = [_line((x, y), across, up, pale=len(x) > NOISY)]
    if len(x) > NOISY:
        lines.append(_line(smoothed((x, y), len(x) // 20), across, up))
    marks = log_ticks(up.low, up.high) if log else []
    marks = marks if len(marks) >= 3 else ticks(up.low, up.high)
    unit = " %" if share else ""
    best = max(y) if share else min(y)
    return {
        "title": title,
        "unit": "%" if share else "logarithmic" if log else "",
        "summary": f"{y[0]:.4g}{unit} at step {x[0]:g}, {y[-1]:.4g}{unit} at step {x[-1]:g}, "
        f"{'highest' if share else 'lowest'} {best:.4g}{unit}",
        "width": WIDTH,
        "height": HEIGHT,
        "left": LEFT,
        "right": RIGHT,
        "bottom": BOTTOM,
        "x_ticks": [{"at": across.at(t), "text": f"{t:,.0f}"} for t in ticks(across.low, across.high, 4)],
        "y_ticks": [{"at": up.at(t), "text": f"{t:.6g}"} for t in marks],
        "lines": lines,
    }


def _range(y: Sequence[float], log: bool, share: bool) -> tuple[float, float]:
    low, high = (0.0 if share else min(y)), max(y)
    if log:
        return low / 1.1, high * 1.1
    room = 0.06 * (high - low) or 1.0
    return (0.0 if share else low - room), high + room


def _line(curve: Curve, across: Scale, up: Scale, pale: bool = False) -> dict[str, Any]:
    x, y = thinned(curve)
    places = [(across.at(a), up.at(b)) for a, b in zip(x, y)]
    dots = [] if len(x) > 25 else [
        {"x": px, "y": py, "text": f"step {a:g}: {b:.4g}"} for (px, py), a, b in zip(places, x, y)
    ]  # fmt: skip
    return {"points": " ".join(f"{px},{py}" for px, py in places), "dots": dots, "pale": pale}
