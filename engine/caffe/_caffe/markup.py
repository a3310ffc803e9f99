"""Tables as HTML, for notebooks: every text is escaped, and the page's own style holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


def table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table under a title. A line break in a cell is one on the page."""
    header = "".join(f'<th style="text-align:left">{escape(name)}</th>' for name in head)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return (
        f"<p><strong>{escape(title)}</strong></p>"
        '<div style="max-height:36em;overflow:auto">'
        f"<table><thead><tr>{header}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _cell(text: str) -> str:
    shown = escape(text).replace("\n", "<br>")
    return f'<td style="text-align:left;white-space:nowrap;vertical-align:top">{shown}</td>'
