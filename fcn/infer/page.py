"""index.html of a folder of results: each image beside its overlay and its classes. Needs no network."""

from __future__ import annotations

import html
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import numpy as np
from PIL import Image

from ..outputs import replace_text
from .markup import legend_html

#: The longest side of the small copies of images, in pixels.
SIDE = 1024
ENDS = ("_image.jpg",)
NAME = "index.html"

HEAD = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; font: 16px/1.4 system-ui, sans-serif; }}
body {{ max-width: 90rem; margin: 0 auto; padding: 1rem; }}
h1 {{ font-size: 1.4rem; }}
h2 {{ font-size: 1rem; overflow-wrap: anywhere; }}
article {{ display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)) 15rem; gap: 1rem;
  border-top: 1px solid color-mix(in srgb, currentcolor 25%, transparent); padding: .5rem 0 1.5rem; }}
h2 {{ grid-column: 1 / -1; margin: 0; }}
img {{ width: 100%; height: auto; max-height: 80vh; object-fit: contain; border-radius: 4px; }}
@media (max-width: 50rem) {{ article {{ grid-template-columns: minmax(0, 1fr); }} }}
</style>
<h1>{title}</h1>
"""


class Entry(NamedTuple):
    """One result on the page.

    Attributes:
        path: the file that was segmented.
        shares: class -> part of the pixels.
        classes: all names, in the order of the label values.
        film: whether it is a video.
    """

    path: Path
    shares: Mapping[str, float]
    classes: Sequence[str]
    film: bool = False


def write_small(image: np.ndarray, path: Path) -> None:
    """A small copy of an image, for the page."""
    small = Image.fromarray(image)
    small.thumbnail((SIDE, SIDE))
    small.save(path, "JPEG", quality=85)


def write_page(out: Path, title: str, entries: Iterable[Entry]) -> Path:
    """Write the page into the folder that has the pictures; returns it.

    Raises:
        OSError: it cannot be written.
    """
    path = out / NAME
    replace_text(path, HEAD.format(title=html.escape(title)) + "".join(map(_article, entries)) + "</html>\n")
    return path


def _article(entry: Entry) -> str:
    # A name that is no UTF-8 is shown as well as can be, and linked to by its bytes.
    shown = str(entry.path).encode(errors="replace").decode()
    title, name = html.escape(shown), quote(os.fsencode(entry.path.stem))
    key = legend_html(entry.shares, entry.classes)
    if entry.film:
        links = f'<a href="{name}_overlay.mp4">overlay</a>, <a href="{name}/">label maps</a>'
        return f"<article>\n<h2>{title}</h2>\n<div>{key}{links}</div>\n</article>\n"
    return (
        f'<article>\n<h2>{title}</h2>\n<img src="{name}_image.jpg" alt="{title}" loading="lazy">\n'
        f'<a href="{name}_overlay.png"><img src="{name}_overlay.png" alt="its classes" loading="lazy"></a>\n'
        f'<div>{key}<a href="{name}.png">label map</a></div>\n</article>\n'
    )
