"""Pieces of HTML that a notebook and the page of a folder share."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image

from ..figures import ClassColours


def data_uri(image: Image.Image, form: str = "png", **options: Any) -> str:
    """A picture inside of a page, as PNG or another form; options are Pillow's, of saving it."""
    file = io.BytesIO()
    image.save(file, form, **options)
    return f"data:image/{form};base64,{base64.b64encode(file.getvalue()).decode()}"


def legend_html(shares: Mapping[str, float], classes: Sequence[str]) -> str:
    """The classes of an image with their colours and shares (0 .. 1)."""
    colours = ClassColours.of(classes)
    rows = "".join(
        f'<li style="display: flex; gap: .5em; align-items: center">'
        f'<span style="width: 1em; height: 1em; flex: none; border: 1px solid gray; '
        f'background: {colours.css(classes.index(name))}"></span>'
        f"<span>{html.escape(name)}</span>"
        f'<span style="margin-left: auto; font-variant-numeric: tabular-nums">{100 * share:.1f} %</span></li>'
        for name, share in shares.items()
    )
    return f'<ul style="list-style: none; padding: 0; margin: .5em 0; max-width: 20em">{rows}</ul>'
