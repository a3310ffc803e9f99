"""Pictures of results: legend, contact sheet (Pillow), loss and IU curves (matplotlib)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vis import color_seg, make_palette

log = logging.getLogger("fcn")

#: What Pillow and matplotlib raise, of whatever version.
_FAILURES = (ArithmeticError, AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError)
WHITE, INK = (255, 255, 255), (30, 30, 30)


def shares(label: np.ndarray, classes: Sequence[str]) -> dict[str, float]:
    """Class name -> its share of the pixels (0 .. 1), largest first; absent classes are left out."""
    counts = np.bincount(np.asarray(label).ravel(), minlength=len(classes))
    order = np.argsort(-counts, kind="stable")
    return {classes[i]: float(counts[i] / counts.sum()) for i in order if i < len(classes) and counts[i]}


def drawn(path: Path, draw: Callable[[], Any]) -> bool:
    """Call `draw`, which makes the picture `path`; whether it did.

    What goes wrong is a warning: a result that is there already shall not fail for want of a picture.
    """
    try:
        draw()
    except _FAILURES as error:
        log.warning("%s is not drawn: %s: %s", path, type(error).__name__, error)
        return False
    return True


def _font(size: int) -> Any:
    """Pillow's own font, of this size from Pillow 10.1 on; before that of the one size that it has."""
    try:
        return ImageFont.load_default(size)
    except TypeError:
        return ImageFont.load_default()


def _shown(text: str, font: Any) -> str:
    """The text, with question marks for what a font cannot draw."""
    if isinstance(font, ImageFont.FreeTypeFont):
        return text
    return text.encode("latin-1", "replace").decode("latin-1")


def legend(label: np.ndarray, classes: Sequence[str], line: int = 22) -> Image.Image:
    """The classes in a label map with their colours and shares of the image, largest first."""
    found = shares(label, classes)
    palette = make_palette(len(classes))
    font = _font(line * 2 // 3)
    texts = [_shown(f"{100 * share:5.1f} %  {name}", font) for name, share in found.items()]
    width = max((int(font.getlength(text)) for text in texts), default=0) + 2 * line
    picture = Image.new("RGB", (width, line * len(texts) + line // 2), WHITE)
    pen = ImageDraw.Draw(picture)
    for row, (name, text) in enumerate(zip(found, texts)):
        top = line // 4 + row * line
        colour = tuple(int(c) for c in palette[classes.index(name)])
        pen.rectangle((line // 4, top + 2, line, top + line - 4), fill=colour, outline=INK)
        pen.text((line * 1.4, top), text, fill=INK, font=font)
    return picture


def contact_sheet(
    columns: Mapping[str, Sequence[np.ndarray]], classes: int, cell: int = 160, gap: int = 6
) -> Image.Image:
    """Rows of pictures under column titles, as in the paper's figures.

    columns: title -> one array per row; H x W x 3 is an image, H x W a label map (void is drawn white).
    """
    palette = make_palette(256)
    palette[classes:] = 255
    rows = min(len(cells) for cells in columns.values())
    title, font = 24, _font(15)
    sheet = Image.new("RGB", (len(columns) * (cell + gap) + gap, rows * (cell + gap) + gap + title), WHITE)
    pen = ImageDraw.Draw(sheet)
    for x, (name, cells) in enumerate(columns.items()):
        left = gap + x * (cell + gap)
        text = _shown(name, font)
        if isinstance(font, ImageFont.FreeTypeFont):
            pen.text((left + cell / 2, title / 2 + 2), text, fill=INK, font=font, anchor="mm")
        else:
            pen.text((left + cell / 2 - font.getlength(text) / 2, title / 4), text, fill=INK, font=font)
        for y, array in enumerate(cells[:rows]):
            picture = Image.fromarray(color_seg(array, palette) if array.ndim == 2 else array)
            scale = cell / max(picture.size)
            size = (round(picture.width * scale), round(picture.height * scale))
            picture = picture.resize(size, Image.Resampling.NEAREST if array.ndim == 2 else None)
            top = title + gap + y * (cell + gap)
            sheet.paste(picture, (left + (cell - size[0]) // 2, top + (cell - size[1]) // 2))
    return sheet


def figure(path: Path, size: tuple[float, float]) -> Any:
    """An empty matplotlib figure, `size` inches wide and high, to be saved as `path`, whose folder is made.

    Returns None, with a warning that names the extra, where matplotlib is not installed: a result that is
    there already shall not fail for want of a picture.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        log.warning("%s is not drawn: it needs matplotlib: pip install 'caffe-fcn[report]'", path)
        return None
    empty = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(empty)
    path.parent.mkdir(parents=True, exist_ok=True)
    return empty


def curves(
    panels: Mapping[str, Mapping[str, tuple[Sequence[float], Sequence[float]]]],
    path: str | Path,
    x_label: str = "iteration",
    log_scale: Sequence[str] = (),
) -> Path | None:
    """Line plots side by side, written to `path` (PNG, SVG or PDF by its suffix).

    Returns None where matplotlib is not installed; see `figure`.

    panels: title -> name of the line -> (x, y). log_scale: titles of panels with a logarithmic y axis.
    """
    path = Path(path)
    drawing = figure(path, (5.2 * len(panels), 3.6))
    if drawing is None:
        return None
    for place, (title, lines) in enumerate(panels.items(), 1):
        axes = drawing.add_subplot(1, len(panels), place)
        for name, (x, y) in lines.items():
            axes.plot(x, y, label=name, marker="o" if len(x) <= 10 else None, markersize=3)
        axes.set(title=title, xlabel=x_label, yscale="log" if title in log_scale else "linear")
        axes.grid(alpha=0.3)
        if lines:
            axes.legend(frameon=False)
    drawing.savefig(path, dpi=110)
    return path
