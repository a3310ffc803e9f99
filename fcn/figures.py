"""Pictures of results: legend, contact sheet (Pillow), loss and IU curves (matplotlib)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vis import color_seg, make_palette, vis_seg
from voc_layers.facts import VOID

from .outputs import replacing

log = logging.getLogger("fcn")

#: What Pillow and matplotlib raise, of whatever version.
_FAILURES = (ArithmeticError, AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError)
WHITE, INK = (255, 255, 255), (30, 30, 30)
#: Colours of lines that people with any colour vision can tell apart (Okabe and Ito, 2008), but for yellow.
LINE_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_STROKES = ("-", "--", ":", "-.")
#: name of a line -> (x, y).
Lines = Mapping[str, tuple[Sequence[float], Sequence[float]]]


#: What a class 0 is called that is the ground on which the others stand: overlays leave it clear.
GROUND_NAMES = frozenset(
    ("background", "bg", "ground", "none", "other", "unlabeled", "unlabelled", "void", "0")
)


@dataclass(frozen=True, eq=False)
class ClassColours:
    """What classes look like in overlays, legends and pages.

    Attributes:
        classes: their names, in the order of the label values.
        clear: the class that overlays leave clear; None where all are drawn.
        palette: uint8 256 x 3, RGB: PASCAL VOC's colours, no two alike, void's last. Class 0, black there, is
            given a colour unless it is the ground.
    """

    classes: tuple[str, ...]
    clear: int | None
    palette: np.ndarray

    @classmethod
    def of(cls, classes: Sequence[str]) -> ClassColours:
        """Those of classes with these names: one called 'background' or the like is the ground."""
        palette, first = make_palette(256), classes[0].strip("_ ").lower() if classes else ""
        if first in GROUND_NAMES:
            return cls(tuple(classes), 0, palette)
        spare = np.arange(len(classes), VOID) if len(classes) < VOID else np.array([0])
        taken = palette[[0, *range(1, len(classes)), VOID]].astype(int)
        gaps = np.abs(palette[spare].astype(int)[:, None] - taken).sum(-1).min(1)
        farthest = int(spare[gaps.argmax()])
        palette[[0, farthest]] = palette[[farthest, 0]]
        return cls(tuple(classes), None, palette)

    def css(self, k: int) -> str:
        """The colour of a class as a style sheet writes it."""
        return "#{:02x}{:02x}{:02x}".format(*self.palette[k])

    def overlay(self, image: np.ndarray, label: np.ndarray, alpha: float = 0.5) -> np.ndarray:
        """The classes' colours over an image, uint8 H x W x 3; see `vis.vis_seg`."""
        if self.clear == 0:
            return vis_seg(image, label, self.palette, alpha)
        shifted = np.asarray(label).astype(np.intp) + 1  # 0 is what vis_seg leaves clear
        return vis_seg(image, shifted, np.concatenate([self.palette[:1], self.palette]), alpha)


def shares(label: np.ndarray, classes: Sequence[str]) -> dict[str, float]:
    """Class name -> its share of the pixels (0 .. 1), largest first; absent classes are left out."""
    counts = np.bincount(np.asarray(label).ravel(), minlength=len(classes))
    order = np.argsort(-counts, kind="stable")
    return {classes[i]: float(counts[i] / counts.sum()) for i in order if i < len(classes) and counts[i]}


def save_picture(picture: Image.Image, path: Path, **options: Any) -> Path:
    """Write a picture in the format that its name ends in; the file of that name is whole at any time.

    Raises:
        OSError: it cannot be written; names the file.
    """
    form = Image.registered_extensions()[path.suffix.lower()]
    with replacing(path, lasting=False) as temporary:
        picture.save(temporary, form, **options)
    return path


def drawn(path: Path, draw: Callable[[], Any]) -> bool:
    """Call `draw`, which makes the picture `path` and returns it, or None; whether it did.

    What goes wrong is a warning: a result that is there already shall not fail for want of a picture.

    Raises:
        OSError: there is no room for it, or no right to write it.
    """
    try:
        return bool(draw())
    except _FAILURES as error:
        if isinstance(error, OSError) and error.filename == str(path):
            raise
        log.warning("%s is not drawn: %s: %s", path, type(error).__name__, error)
        return False


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
    palette = ClassColours.of(classes).palette
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


def save_figure(drawing: Any, path: Path, dpi: float = 110) -> Path:
    """Write a figure of matplotlib, by its suffix; the file of that name is whole at any time.

    Raises:
        ValueError: matplotlib does not write such files.
        OSError: it cannot be written; names the file.
    """
    with replacing(path, lasting=False) as temporary:
        drawing.savefig(temporary, dpi=dpi, format=path.suffix.removeprefix(".") or "png")
    return path


def curves(
    panels: Mapping[str, Lines],
    path: str | Path,
    x_label: str = "iteration",
    log_scale: Sequence[str] = (),
    behind: Mapping[str, Lines] | None = None,
) -> Path | None:
    """Line plots side by side, written to `path` (PNG, SVG or PDF by its suffix).

    Returns None where matplotlib is not installed; see `figure`.

    panels: title -> lines. log_scale: titles of panels with a logarithmic y axis. behind: title -> lines of
    the same names, drawn pale.

    Raises:
        ValueError: matplotlib does not write such files.
        OSError: the file cannot be written.
    """
    path = Path(path)
    drawing = figure(path, (5.2 * len(panels), 3.6))
    if drawing is None:
        return None
    for place, (title, lines) in enumerate(panels.items(), 1):
        axes = drawing.add_subplot(1, len(panels), place)
        pale = (behind or {}).get(title, {})
        for number, (name, (x, y)) in enumerate(lines.items()):
            look: dict[str, Any] = {
                "color": LINE_COLOURS[number % len(LINE_COLOURS)],
                "linestyle": _STROKES[number // len(LINE_COLOURS) % len(_STROKES)],
            }
            if name in pale:
                axes.plot(*pale[name], **look, alpha=0.25, linewidth=0.8)
            axes.plot(x, y, **look, label=name, marker="o" if len(x) <= 10 else None, markersize=3)
        axes.set(title=title, xlabel=x_label, yscale="log" if title in log_scale else "linear")
        axes.grid(alpha=0.3)
        if lines:
            axes.legend(frameon=False, fontsize="small" if len(lines) > 4 else None)
    return save_figure(drawing, path)
