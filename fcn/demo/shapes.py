"""Geometry of the demo's object classes: each class is a shape, drawn with strokes and polygons.

A shape lives in the square [-1, 1] x [-1, 1] (x right, y down) and is drawn by `draw` with a given size, limb
thickness, rotation and aspect, anti-aliased by supersampling. Nothing here knows of colour.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

SUPERSAMPLE = 4

Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Shape:
    """Strokes are polylines of one limb's thickness; polygons are filled. Coordinates in [-1, 1].

    min_size: the smallest side in limb thicknesses at which the shape's gaps stay open.
    """

    strokes: tuple[Points, ...] = ()
    polygons: tuple[Points, ...] = ()
    min_size: float = 5.0


def _arc(
    radius: float, start: float, end: float, steps: int = 40, centre: tuple[float, float] = (0, 0)
) -> Points:
    angles = np.linspace(math.radians(start), math.radians(end), steps)
    return [(centre[0] + radius * math.cos(a), centre[1] + radius * math.sin(a)) for a in angles]


def _ring() -> Shape:
    return Shape(strokes=(_arc(1, 0, 365),))


def _cross() -> Shape:
    return Shape(strokes=([(-1, 0), (1, 0)], [(0, -1), (0, 1)]))


def _star() -> Shape:
    tips = [(0.42 if i % 2 else 1.0, math.radians(36 * i - 90)) for i in range(10)]
    return Shape(polygons=([(r * math.cos(a) * 1.1, r * math.sin(a) * 1.1) for r, a in tips],))


def _arrow() -> Shape:
    return Shape(strokes=([(-1, 0), (0.4, 0)],), polygons=([(0.1, -0.85), (1.1, 0), (0.1, 0.85)],))


def _comb() -> Shape:
    teeth = tuple([(x, -0.6), (x, 0.9)] for x in (-1, -1 / 3, 1 / 3, 1))
    return Shape(strokes=([(-1, -0.6), (1, -0.6)], *teeth), min_size=7.5)


def _ladder() -> Shape:
    rungs = tuple([(-0.6, y), (0.6, y)] for y in (-0.66, 0, 0.66))
    return Shape(strokes=([(-0.6, -1), (-0.6, 1)], [(0.6, -1), (0.6, 1)], *rungs), min_size=7.5)


def _spiral() -> Shape:
    turns = np.linspace(0.3, 2.0, 70)
    path = [(t / 2 * math.cos(2 * math.pi * t), t / 2 * math.sin(2 * math.pi * t)) for t in turns]
    return Shape(strokes=(path,), min_size=8)


def _crescent() -> Shape:
    outer = _arc(1, 50, 310)
    inner = _arc(0.79, 284, 76, centre=(0.45, 0))
    return Shape(polygons=(outer + inner,))


def _zigzag() -> Shape:
    return Shape(strokes=([(-1, 0.75), (-0.5, -0.75), (0, 0.75), (0.5, -0.75), (1, 0.75)],), min_size=7)


def _triangle() -> Shape:
    return Shape(strokes=(_arc(1.05, -90, 390, steps=5),), min_size=6)


SHAPES: dict[str, Callable[[], Shape]] = {
    "ring": _ring,
    "cross": _cross,
    "star": _star,
    "arrow": _arrow,
    "comb": _comb,
    "ladder": _ladder,
    "spiral": _spiral,
    "crescent": _crescent,
    "zigzag": _zigzag,
    "triangle": _triangle,
}


def blob(rng: np.random.Generator) -> Shape:
    """A distractor that belongs to no class: a bar, a bent bar, an ellipse-like blob or a quadrilateral."""
    kind = rng.integers(4)
    if kind == 0:
        return Shape(strokes=([(-1, 0), (1, 0)],))
    if kind == 1:
        return Shape(strokes=([(-1, 0.3), (0, -0.3), (1, float(rng.uniform(-0.5, 0.5)))],))
    if kind == 2:
        return Shape(polygons=(_arc(1, 0, 360),))
    slant = [float(s) for s in rng.uniform(-0.3, 0.3, 4)]
    return Shape(polygons=([(-1 + slant[0], -1), (1 + slant[1], -1), (1 + slant[2], 1), (-1 + slant[3], 1)],))


def draw(shape: Shape, size: float, limb: float, angle: float = 0.0, aspect: float = 1.0) -> np.ndarray:
    """The shape's coverage, float32 H x W in [0, 1], cut to its own box.

    size: side of the unrotated box in pixels, limbs included; limb: thickness of strokes in pixels;
    angle: rotation in degrees; aspect: height over width.
    """
    half = (size - limb) / 2
    turn = math.radians(angle)
    cos, sin = math.cos(turn), math.sin(turn)

    def place(points: Points) -> np.ndarray:
        xy = np.asarray(points, float) * (half / math.sqrt(aspect), half * math.sqrt(aspect))
        return np.stack([xy[:, 0] * cos - xy[:, 1] * sin, xy[:, 0] * sin + xy[:, 1] * cos], axis=1)

    strokes, polygons = [place(s) for s in shape.strokes], [place(p) for p in shape.polygons]
    everything = np.concatenate(strokes + polygons)
    low, high = everything.min(0) - limb / 2, everything.max(0) + limb / 2
    width, height = (int(n) for n in np.ceil(high - low))
    canvas = Image.new("L", (width * SUPERSAMPLE, height * SUPERSAMPLE))
    pen = ImageDraw.Draw(canvas)
    for points in polygons:
        pen.polygon([tuple(p) for p in (points - low) * SUPERSAMPLE], fill=255)
    for points in strokes:
        _stroke(pen, (points - low) * SUPERSAMPLE, limb * SUPERSAMPLE)
    return np.asarray(canvas.reduce(SUPERSAMPLE), np.float32) / 255


def _stroke(pen: ImageDraw.ImageDraw, points: np.ndarray, width: float) -> None:
    pen.line([tuple(p) for p in points], fill=255, width=round(width), joint="curve")
    radius = width / 2
    for x, y in (points[0], points[-1]):
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
