"""A confusion matrix as a picture: a file, or HTML for notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np

from ..figures import figure, save_figure

#: Of matplotlib: one hue that only gets darker, which people with any colour vision read alike.
COLOURS = "Blues"
#: Where they end, as red, green and blue.
DARKEST = (8, 48, 107)
#: Pixels, about; of a great many classes the names are then too small to read.
LARGEST = 4000
#: Up to so many classes each cell has its number.
NUMBERED = 30


def draw_confusion(hist: np.ndarray, classes: Sequence[str], path: Path) -> Path | None:
    """Draw the histogram (n x n, row = truth) in percent of its rows to `path`; see `figure`.

    Rows without true pixels stay grey.
    """
    n = len(classes)
    side = max(3.6, 0.36 * n if n <= NUMBERED else 0.26 * n)
    margin = 0.5 + 0.075 * max(map(len, classes))
    drawn = figure(path, (side + margin + 0.9, side + margin + 0.4))
    if drawn is None:
        return None
    shares = _shares(hist)
    axes = drawn.add_subplot()
    axes.set_facecolor("0.85")
    shown = axes.imshow(shares, cmap=COLOURS, vmin=0, vmax=100, interpolation="nearest")
    small = 8 if n <= NUMBERED else 6
    axes.set_xticks(range(n), classes, rotation=90, fontsize=small, parse_math=False)
    axes.set_yticks(range(n), classes, fontsize=small, parse_math=False)
    axes.set(xlabel="predicted", ylabel="true")
    axes.set_xticks(np.arange(n + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(n + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=0.4)
    axes.tick_params(which="both", length=0)
    if n <= NUMBERED:
        for (row, column), share in np.ndenumerate(shares):
            if share >= 0.5:
                colour = "white" if share > 55 else "black"
                axes.text(column, row, f"{share:.0f}", ha="center", va="center", fontsize=7, color=colour)
    bar = drawn.colorbar(shown, ax=axes, fraction=0.04, pad=0.02)
    bar.set_label("% of the true class", fontsize=small)
    bar.ax.tick_params(labelsize=small)
    return save_figure(drawn, path, min(110, LARGEST / (side + margin)))


def confusion_html(hist: np.ndarray, classes: Sequence[str]) -> str:
    """The same as a table; each cell says what it is when the pointer rests on it. Names are escaped."""
    head = "".join(f'<th title="{escape(name)}">{k}</th>' for k, name in enumerate(classes))
    lines = [
        f'<tr><th style="text-align:left">{k} {escape(name)}</th>{_cells(shares, name, classes)}</tr>'
        for k, (name, shares) in enumerate(zip(classes, _shares(hist)))
    ]
    caption = "confusion, % of the true class (row) predicted as (column)"
    table = f"<thead><tr><th></th>{head}</tr></thead><tbody>{''.join(lines)}</tbody>"
    return f"<p>{caption}</p><table>{table}</table>"


def _cells(shares: np.ndarray, true: str, classes: Sequence[str]) -> str:
    """The cells of a row, from white to one dark blue; grey where there is no true pixel."""
    return "".join(
        f'<td title="{escape(_said(share, true, name))}" style="{_colours(share)}">'
        f"{f'{share:.0f}' if share >= 0.5 and len(classes) <= NUMBERED else ''}</td>"
        for name, share in zip(classes, shares)
    )


def _said(share: float, true: str, predicted: str) -> str:
    return f"{true} is true nowhere" if np.isnan(share) else f"{true} predicted as {predicted}: {share:.2f} %"


def _colours(share: float) -> str:
    if np.isnan(share):
        return "background:#d9d9d9"
    part = share / 100
    red, green, blue = (round(255 + part * (dark - 255)) for dark in DARKEST)
    return f"background:rgb({red},{green},{blue});color:{'white' if share > 55 else 'black'}"


def _shares(hist: np.ndarray) -> np.ndarray:
    """The histogram in percent of its rows; NaN where a row is empty."""
    true = hist.sum(1, keepdims=True)
    shares: np.ndarray = np.divide(100.0 * hist, true, out=np.full(hist.shape, np.nan), where=true > 0)
    return shares
