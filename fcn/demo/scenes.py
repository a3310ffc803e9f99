"""The embedded data set: drawn scenes in VOC layout, and single objects for the classifier of stage 1.

Classes are shapes (`fcn.demo.shapes`), thin enough that a stride of 32 cannot draw them. All classes and the
distractors take their colours and textures from one light palette, backgrounds from a dark one: colour alone
may tell figure from ground, as in photographs of lit things, but not what the figure is.
Everything follows from the seed: image i of a split does not depend on how many images are drawn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from voc_layers.facts import VOID

from .shapes import SHAPES, Shape, blob, draw

VERSION = 4  # of the drawing: raise it when the same seed gives other images
CLASSES = ("background", *SHAPES)
SIDES = (96, 160)  # sides of a scene, pixels
CROP = 128  # side of a classification image
OBJECT_SIDES = (56, 110)  # sides of an object
LIMBS = (9.0, 17.0)  # thickness of an object's limbs
CONTRAST = 80  # least RGB distance between an object's colour and what it covers
MAX_COVER = 0.3  # how much of an object another one may hide

PALETTE = np.array(
    [
        (222, 82, 70),
        (240, 160, 60),
        (236, 212, 90),
        (120, 176, 84),
        (44, 122, 92),
        (76, 178, 190),
        (58, 104, 176),
        (104, 78, 158),
        (190, 100, 160),
        (132, 88, 60),
        (238, 236, 226),
        (150, 154, 160),
        (72, 78, 88),
        (28, 30, 40),
    ],
    np.float32,
)
GROUND = 0.5 * PALETTE  # backgrounds
FIGURE = 0.55 * PALETTE + 112  # objects and distractors
Where = tuple[slice, slice]
_STREAMS = {"train": 0, "val": 1, "class": 2}


@dataclass
class Scene:
    """image: uint8 H x W x 3, RGB; label: uint8 H x W, 0 = background, 255 = void."""

    image: np.ndarray
    label: np.ndarray


def texture(rng: np.random.Generator, height: int, width: int, colour: np.ndarray) -> np.ndarray:
    """One surface: the colour with stripes, checks, dots, a ramp or grain. float32 H x W x 3, not clipped."""
    y, x = np.ogrid[:height, :width]
    turn, pitch, depth = rng.uniform(0, math.pi), rng.uniform(4, 11), rng.uniform(6, 20)
    kind = int(rng.integers(6))
    relief = _relief(kind, x.astype(np.float32), y.astype(np.float32), turn, 2 * math.pi / pitch)
    grain = rng.normal(0, rng.uniform(1, 6), (height, width, 1))
    surface: np.ndarray = (colour + (depth * relief)[..., None] + grain).astype(np.float32)
    return surface


def _relief(kind: int, x: np.ndarray, y: np.ndarray, turn: float, pace: float) -> np.ndarray:
    """Stripes, checks, dots or a ramp, from -1 to 1: float32 H x W, or 1 x 1 for a plain surface.

    x, y: of the pixels, 1 x W and H x 1; pace: radians a pixel.
    """
    u, v = x * math.cos(turn) + y * math.sin(turn), y * math.cos(turn) - x * math.sin(turn)
    relief: np.ndarray = np.zeros((1, 1), np.float32)
    if kind == 0:
        relief = np.sign(np.sin(u * pace))
    elif kind == 1:
        relief = np.sign(np.sin(u * pace) * np.sin(v * pace))
    elif kind == 2:
        relief = 2 * ((np.cos(u * pace) + np.cos(v * pace)) > 0.9) - 1.0
    elif kind == 3:
        relief = 2 * (u - u.mean()) / max(float(np.ptp(u)), 1.0)
    return relief


def _background(rng: np.random.Generator, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """A patchwork of two to four textured cells, and the colours it used."""
    colours = _jitter(rng, GROUND[rng.choice(len(GROUND), 2, replace=False)])
    cells = int(rng.integers(2, 5))
    sites = rng.uniform(0, 1, (cells, 2)) * (height, width)
    y, x = np.ogrid[:height, :width]
    wobble = 6 * np.sin(y / rng.uniform(6, 14)) + 6 * np.sin(x / rng.uniform(6, 14))
    reach = [np.hypot(y - sy, x - sx) + wobble * (i % 2) for i, (sy, sx) in enumerate(sites)]
    cell = np.argmin(reach, axis=0)
    canvas = np.empty((height, width, 3), np.float32)
    for i in range(cells):
        inside = cell == i
        canvas[inside] = texture(rng, height, width, colours[i % 2])[inside]
    return canvas, colours


def _jitter(rng: np.random.Generator, colours: np.ndarray) -> np.ndarray:
    return np.clip(colours + rng.normal(0, 10, colours.shape), 0, 255)


def _contrasting(rng: np.random.Generator, taken: np.ndarray) -> np.ndarray:
    """A figure's colour that stands out from all of `taken`; the farthest one if none is far enough."""
    gap = np.sqrt(((FIGURE[:, None] - taken[None]) ** 2).sum(-1)).min(1)
    far = np.flatnonzero(gap >= CONTRAST)
    return _jitter(rng, FIGURE[rng.choice(far) if len(far) else gap.argmax()])


def _random_shape(rng: np.random.Generator, name: str) -> np.ndarray:
    shape = SHAPES[name]()
    low = max(OBJECT_SIDES[0], shape.min_size * LIMBS[0])
    size = rng.uniform(low, OBJECT_SIDES[1])
    limb = float(np.clip(size * rng.uniform(0.13, 0.18), LIMBS[0], min(LIMBS[1], size / shape.min_size)))
    return draw(shape, size, limb, rng.uniform(-25, 25), rng.uniform(0.8, 1.25))


def _window(mask: np.ndarray, top: int, left: int, height: int, width: int) -> tuple[np.ndarray, Where]:
    """The part of a mask that falls into the image, and where."""
    rows, columns = (
        slice(max(start, 0), min(start + length, end))
        for start, length, end in ((top, mask.shape[0], height), (left, mask.shape[1], width))
    )
    return mask[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left], (
        rows,
        columns,
    )


def _paint(
    canvas: np.ndarray, rng: np.random.Generator, mask: np.ndarray, where: Where, colour: np.ndarray
) -> None:
    alpha = mask[..., None]
    surface = texture(rng, mask.shape[0], mask.shape[1], colour)
    canvas[where] = canvas[where] * (1 - alpha) + surface * alpha


def _distract(canvas: np.ndarray, rng: np.random.Generator, colour: np.ndarray) -> None:
    """A small figure of no class, in an object's colours."""
    height, width = canvas.shape[:2]
    shape: Shape = blob(rng)
    mask = draw(shape, rng.uniform(10, 30), rng.uniform(*LIMBS), rng.uniform(0, 180), rng.uniform(0.5, 1.5))
    top, left = int(rng.integers(height)) - mask.shape[0] // 2, int(rng.integers(width)) - mask.shape[1] // 2
    mask, where = _window(mask, top, left, height, width)
    _paint(canvas, rng, mask, where, colour)


def _place(
    rng: np.random.Generator, instance: np.ndarray, areas: list[int], mask: np.ndarray
) -> tuple[np.ndarray, Where] | None:
    """A place mostly inside the image that hides no object by more than MAX_COVER; None if crowded."""
    height, width = instance.shape
    for _ in range(12):
        top = int(rng.integers(-(mask.shape[0] // 6), max(height - mask.shape[0] * 5 // 6, 1)))
        left = int(rng.integers(-(mask.shape[1] // 6), max(width - mask.shape[1] * 5 // 6, 1)))
        part, where = _window(mask, top, left, height, width)
        hidden = np.bincount(instance[where][part >= 0.5], minlength=len(areas))
        if (hidden[1:] <= MAX_COVER * np.array(areas[1:])).all():
            return part, where
    return None


def scene(rng: np.random.Generator, height: int, width: int, classes: Sequence[int]) -> Scene:
    """Draw one object of each given class index, back to front, over clutter; a crowded image drops some."""
    canvas, base = _background(rng, height, width)
    for _ in range(int(rng.integers(2, 6))):
        _distract(canvas, rng, _contrasting(rng, base))
    instance = np.zeros((height, width), np.uint8)
    kinds, areas, paints = [0], [0], [base[0]]
    for index in classes:
        mask = _random_shape(rng, CLASSES[index])
        spot = _place(rng, instance, areas, mask)
        if spot is None:
            continue
        part, where = spot
        beneath = [paints[i] for i in np.unique(instance[where]) if i]
        paints.append(_contrasting(rng, np.array([*base, *beneath])))
        _paint(canvas, rng, part, where, paints[-1])
        instance[where][part >= 0.5] = len(kinds)
        areas.append(int((part >= 0.5).sum()))
        kinds.append(index)
    image = np.clip(canvas * rng.uniform(0.85, 1.1), 0, 255).astype(np.uint8)
    label = np.where(_meeting(instance), VOID, np.array(kinds, np.uint8)[instance])
    return Scene(image, label.astype(np.uint8))


def _meeting(instance: np.ndarray) -> np.ndarray:
    """Where two 4-neighbours belong to different objects: a border two pixels wide."""
    edge = np.zeros(instance.shape, bool)
    across, down = instance[:, 1:] != instance[:, :-1], instance[1:] != instance[:-1]
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    edge[1:] |= down
    edge[:-1] |= down
    return edge


def segmentation_scene(seed: int, split: str, index: int) -> Scene:
    """Image number `index` of a split ("train" or "val"): one to five objects, by its area."""
    rng = np.random.default_rng([seed, _STREAMS[split], index])
    height, width = (int(n) for n in rng.integers(SIDES[0], SIDES[1] + 1, 2))
    objects = int(rng.integers(1, 2 + height * width // 6000))
    return scene(rng, height, width, rng.integers(1, len(CLASSES), objects).tolist())


def classification_image(seed: int, index: int) -> tuple[np.ndarray, int]:
    """CROP x CROP RGB image with one object, and its class; 0 = clutter alone. Classes take turns."""
    rng = np.random.default_rng([seed, _STREAMS["class"], index])
    label = index % len(CLASSES)
    return scene(rng, CROP, CROP, [label] if label else []).image, label
