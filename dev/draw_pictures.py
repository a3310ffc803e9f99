"""Draw the pictures of docs/paper/ from what the code says: places of maps, offsets, kernels.

python -m dev.draw_pictures

They are SVG of plain shapes and text on white, so that they are seen in the dark too. A test compares them
with what this would draw.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path

from fcn.align import Alignment, align
from surgery import upsample_filt

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "images"
WIDTH, SIDE = 900, 500
INK, LIGHT, BLUE, PALE, ORANGE = "#1f2933", "#9aa5b1", "#2b6cb0", "#bcd4ec", "#c05621"


def text(x: float, y: float, said: str, anchor: str = "start", colour: str = INK, size: int = 14) -> str:
    at = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}" font-size="{size}"'
    return f"<text {at}>{escape(said)}</text>"


def box(x: float, y: float, width: float, height: float, fill: str, line: str = "none") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
    return f'<rect {place} fill="{fill}" stroke="{line}"/>'


def line(points: Sequence[tuple[float, float]], colour: str, width: float = 1.5, dash: str = "") -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width:g}"{dashed}/>'


def picture(title: str, height: float, parts: Sequence[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" role="img" '
        f'font-family="system-ui, sans-serif"><title>{escape(title)}</title>'
    )
    return "\n".join([head, box(0, 0, WIDTH, height, "#ffffff"), *parts, "</svg>"]) + "\n"


def extent(found: Alignment, name: str) -> tuple[float, float, float]:
    """Where a blob begins and ends over the image, in pixels, and its stride, along the columns."""
    (blob,) = [blob for blob in found.blobs if blob.name == name]
    assert blob.place is not None
    stride, first = blob.place.stride[1], blob.place.first[1]
    return first - stride / 2, first + (blob.shape[1] - 0.5) * stride, stride


def streams() -> str:
    """The maps of FCN-8s over an image of 500 columns: each a bar, each of its columns a cell."""
    found = align("voc-fcn8s", (SIDE, SIDE))
    crops = {crop.cuts: crop for crop in found.crops}
    rows = [blob.name for blob in found.blobs if blob.place and not blob.name.startswith("fuse")]
    rows.insert(0, rows.pop(rows.index("data")))
    left, scale, high, step = 230.0, 0.86, 22, 36
    parts, top = [], 62.0
    begin, end, _ = extent(found, "data")

    def x(pixel: float) -> float:
        return left + 106 * scale + pixel * scale

    parts.append(text(16, 30, "FCN-8s, image of 500 columns: each map where it lies over the image", size=17))
    bottom = top + step * len(rows) - 6
    for name in rows:
        begun, ended, stride = extent(found, name)
        parts += [text(16, top + 16, name), text(150, top + 16, f"stride {stride:g}", colour=LIGHT, size=12)]
        parts.append(box(x(begun), top, (ended - begun) * scale, high, PALE if name in crops else BLUE))
        if name in crops:
            kept, last, _ = extent(found, crops[name].to)
            parts.append(box(x(kept), top, (last - kept) * scale, high, BLUE))
            parts.append(text(x(begun) - 6, top + 16, f"{crops[name].offset[1]}", "end", ORANGE, 13))
        cells = round((ended - begun) / stride)
        if stride * scale >= 6:
            columns = (x(begun + k * stride) for k in range(1, cells))
            parts += [line([(at, top), (at, top + high)], "#ffffff", 0.8) for at in columns]
        top += step
    for edge in (begin, end):
        parts.append(line([(x(edge), 46), (x(edge), bottom)], INK, 1, "4 3"))
    parts.append(text(16, top + 14, "pale: cut off by a crop", colour=INK, size=13))
    parts.append(text(190, top + 14, "orange: its offset, in columns of that map", colour=ORANGE, size=13))
    parts.append(text(480, top + 14, "dashed: the image's two edges", colour=INK, size=13))
    return picture("Where the maps of FCN-8s lie over the image", top + 34, parts)


def offset() -> str:
    """FCN-32s at the left edge of an image: the columns of `upscore` and those of the image."""
    found = align("voc-fcn32s", (SIDE, SIDE))
    (crop,) = found.crops
    cut, cell, left = crop.offset[1], 24.0, 150.0
    begun, _, _ = extent(found, "upscore")
    assert begun == -cut - 0.5
    count = 29
    parts = [text(16, 30, f"FCN-32s: the crop's offset is {cut}", size=17)]
    for name, top, first in (("upscore", 60, 0), ("image", 130, cut)):
        parts.append(text(16, top + 20, name))
        for k in range(first, count):
            kept = k >= cut
            parts.append(box(left + k * cell, top, cell - 2, 28, BLUE if kept else PALE))
            number, colour = k - first, "#ffffff" if kept else INK
            parts.append(text(left + k * cell + cell / 2 - 1, top + 19, str(number), "middle", colour, 12))
    at = left + cut * cell + cell / 2 - 1
    parts.append(line([(at, 90), (at, 128)], ORANGE, 2))
    said = f"column {cut} of upscore lies over column 0 of the image"
    parts.append(text(at - 22, 113, said, "end", ORANGE))
    edge = left + cut * cell - 1
    parts.append(line([(edge, 48), (edge, 172)], INK, 1, "4 3"))
    parts.append(text(left, 192, "pale: scores of the padding, cut off", size=13))
    return picture("The crop offset of FCN-32s", 206, parts)


def kernels() -> str:
    """Bilinear kernels of strides 2 and 8 beside their neighbours: at each pixel they add up to 1."""
    said = "Bilinear kernels along one axis, with their neighbours: they add up to 1 at each pixel"
    parts = [text(16, 30, said, size=17)]
    for number, stride in enumerate((2, 8)):
        size = 2 * stride
        row = upsample_filt(size).sum(0) / stride
        left, width, top, high = 40 + 440 * number, 390, 64, 130
        span = 4 * stride + size - 1
        said = f"stride {stride}, kernel {size}"
        parts.append(text(left, 54, said, size=14))
        for k in range(5):
            points = [
                (left + (k * stride + i) * width / span, top + high * (1 - float(value)))
                for i, value in enumerate(row)
            ]
            parts.append(line(points, BLUE if k == 2 else LIGHT, 2.5 if k == 2 else 1.2))
            if k == 2:
                parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{BLUE}"/>' for x, y in points]
        parts.append(line([(left, top + high), (left + width, top + high)], INK, 1))
        parts.append(line([(left, top), (left + width, top)], ORANGE, 1, "4 3"))
        parts += [
            text(left - 6, top + 5, "1", "end", ORANGE, 12),
            text(left - 6, top + high + 4, "0", "end", INK, 12),
        ]
    return picture("Bilinear kernels", 212, parts)


#: file -> what draws it.
PICTURES: dict[str, Callable[[], str]] = {
    "streams.svg": streams,
    "offset.svg": offset,
    "kernels.svg": kernels,
}


def main() -> None:
    for name, draw in PICTURES.items():
        (FOLDER / name).write_text(draw(), encoding="utf-8")


if __name__ == "__main__":
    main()
