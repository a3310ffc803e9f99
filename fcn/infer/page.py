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

from ..figures import save_picture
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
fieldset {{ border: 0; margin: 0 0 1rem; padding: 0; display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; }}
legend {{ float: left; padding: 0; margin-right: 1rem; line-height: 2.25rem; }}
label {{ display: flex; align-items: center; gap: .4rem; min-height: 2.25rem; cursor: pointer; }}
@media (max-width: 50rem) {{ article {{ grid-template-columns: minmax(0, 1fr); }} }}
</style>
<h1>{title}</h1>
"""


class Shown(NamedTuple):
    """A labeling of a result: what its files end in, its name, class -> part of the pixels, all classes."""

    end: str
    title: str
    shares: Mapping[str, float]
    classes: Sequence[str]


class Entry(NamedTuple):
    """One result on the page.

    Attributes:
        path: the file that was segmented.
        labelings: one, but for nets that say more than one thing of a pixel.
        film: whether it is a video.
    """

    path: Path
    labelings: Sequence[Shown]
    film: bool = False


def write_small(image: np.ndarray, path: Path) -> None:
    """A small copy of an image, for the page."""
    small = Image.fromarray(image)
    small.thumbnail((SIDE, SIDE))
    save_picture(small, path, quality=85)


def write_page(out: Path, title: str, entries: Iterable[Entry]) -> Path:
    """Write the page into the folder that has the pictures; returns it.

    Raises:
        OSError: it cannot be written.
    """
    path, entries = out / NAME, list(entries)
    titles = [one.title for one in entries[0].labelings] if entries else []
    text = HEAD.format(title=html.escape(title)) + _choice(titles) + "".join(map(_article, entries))
    replace_text(path, text + "</html>\n")
    return path


def _choice(titles: Sequence[str]) -> str:
    """Of several labelings one is shown, by a style sheet alone; where the browser knows no :has(), all."""
    if len(titles) < 2:
        return ""
    inputs, rules = [], []
    for number, title in enumerate(titles):
        checked = "" if number else " checked"
        button = f'<input type="radio" name="labels" id="labels{number}"{checked}>'
        inputs.append(f"<label>{button} {html.escape(title)}</label>")
        rules.append(f":root:has(#labels{number}:checked) .labels:not(.l{number}) {{ display: none; }}")
    style = "\n".join(rules)
    return (
        f"<style>\n{style}\n</style>\n<fieldset>\n<legend>labels</legend>\n"
        + "\n".join(inputs)
        + "\n</fieldset>\n"
    )


def _article(entry: Entry) -> str:
    # A name that is no UTF-8 is shown as well as can be, and linked to by its bytes.
    title = html.escape(str(entry.path).encode(errors="replace").decode())
    original = "" if entry.film else (
        f'<img src="{_link(entry, ENDS[0])}" alt="{title}" loading="lazy">\n'
    )  # fmt: skip
    labelings = "".join(_labeling(entry, number) for number in range(len(entry.labelings)))
    return f"<article>\n<h2>{title}</h2>\n{original}{labelings}</article>\n"


def _link(entry: Entry, end: str) -> str:
    return quote(os.fsencode(f"{entry.path.stem}{end}"))


def _labeling(entry: Entry, number: int) -> str:
    """Overlay, classes and files of a labeling."""
    shown = entry.labelings[number]
    name, key = _link(entry, shown.end), legend_html(shown.shares, shown.classes)
    here = f'class="labels l{number}"'
    if entry.film:
        links = f'<a href="{name}_overlay.mp4">overlay</a>, <a href="{name}/">label maps</a>'
        return f"<div {here}>{key}{links}</div>\n"
    what = f"its classes{f', {html.escape(shown.title)}' if shown.title else ''}"
    picture = f'<img src="{name}_overlay.png" alt="{what}" loading="lazy">'
    return (
        f'<a {here} href="{name}_overlay.png">{picture}</a>\n'
        f'<div {here}>{key}<a href="{name}.png">label map</a></div>\n'
    )
