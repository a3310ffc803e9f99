"""Numbers and tables, as plain text and as HTML for notebooks."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path

#: Makes a table of a header and rows of texts.
Table = Callable[[Sequence[str], Sequence[Sequence[str]]], str]


def percent(value: float | None, signed: bool = False) -> str:
    """A fraction of 1 as a percentage with two decimals; a dash where there is none."""
    if value is None or math.isnan(value):
        return "-"
    return f"{100 * value:+.2f}" if signed else f"{100 * value:.2f}"


def tails(paths: Sequence[Path]) -> list[str]:
    """Names for paths: as much of the end of each as tells them apart."""
    each, depth = [path.absolute().parts for path in paths], 1
    while depth < max(map(len, each), default=0) and len({parts[-depth:] for parts in each}) < len(each):
        depth += 1
    return ["/".join(parts[-depth:]) for parts in each]


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns two spaces apart, the first to the left, the others to the right."""
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    lines = [
        "  ".join(cell.rjust(w) if i else cell.ljust(w) for i, (cell, w) in enumerate(zip(row, widths)))
        for row in (header, *rows)
    ]
    return "\n".join(line.rstrip() for line in (lines[0], "-" * len(lines[0]), *lines[1:]))


def html_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """`table` as HTML; every text is escaped."""
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = ("".join(f"<td{_side(i)}>{escape(cell)}</td>" for i, cell in enumerate(row)) for row in rows)
    lines = "".join(f"<tr>{row}</tr>" for row in body)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>"


def _side(column: int) -> str:
    return "" if column else ' style="text-align:left"'
