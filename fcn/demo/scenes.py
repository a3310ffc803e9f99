"""The embedded data set: drawn scenes in VOC layout, and single objects for the classifier of stage 1.

Classes are shapes (`fcn.demo.shapes`), thin enough that a stride of 32 cannot draw them. All classes and the
distractors take their colours and textures from one light palette, backgrounds from a dark one: colour alone
may tell figure from ground, as in photographs of lit things, but not what the figure is.
Everything follows from the seed: image i of a split does not depend on how many images are drawn.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from vis import make_palette
from voc_layers.facts import VOID
from voc_layers.reading import SampleError, read_classes

from ..outputs import making, replace_text
from .shapes import SHAPES, Shape, blob, draw

VERSION = 3  # of the drawing: raise it when the same seed gives other images
CLASSES = ("background", *SHAPES)
SIDES = (96, 160)  # sides of a scene, pixels
CROP = 128  # side of a classification image
OBJECT_SIDES = (36, 84)  # sides of an object
LIMBS = (6.0, 12.0)  # thickness of an object's limbs
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
    y, x = np.mgrid[:height, :width].astype(np.float32)
    turn, pitch, depth = rng.uniform(0, math.pi), rng.uniform(4, 11), rng.uniform(6, 20)
    u, v = x * math.cos(turn) + y * math.sin(turn), y * math.cos(turn) - x * math.sin(turn)
    kind = rng.integers(6)
    if kind == 0:
        relief = np.sign(np.sin(u * (2 * math.pi / pitch)))
    elif kind == 1:
        relief = np.sign(np.sin(u * (2 * math.pi / pitch)) * np.sin(v * (2 * math.pi / pitch)))
    elif kind == 2:
        relief = 2 * ((np.cos(u * (2 * math.pi / pitch)) + np.cos(v * (2 * math.pi / pitch))) > 0.9) - 1.0
    elif kind == 3:
        relief = 2 * (u - u.mean()) / max(float(np.ptp(u)), 1.0)
    else:
        relief = np.zeros_like(u)
    grain = rng.normal(0, rng.uniform(1, 6), (height, width, 1))
    surface: np.ndarray = (colour + (depth * relief)[..., None] + grain).astype(np.float32)
    return surface


def _background(rng: np.random.Generator, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """A patchwork of two to four textured cells, and the colours it used."""
    colours = _jitter(rng, GROUND[rng.choice(len(GROUND), 2, replace=False)])
    cells = int(rng.integers(2, 5))
    sites = rng.uniform(0, 1, (cells, 2)) * (height, width)
    y, x = np.mgrid[:height, :width]
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
    """Image number `index` of a split ("train" or "val"): two to seven objects, by its area."""
    rng = np.random.default_rng([seed, _STREAMS[split], index])
    height, width = (int(n) for n in rng.integers(SIDES[0], SIDES[1] + 1, 2))
    objects = int(rng.integers(2, 3 + height * width // 5000))
    return scene(rng, height, width, rng.integers(1, len(CLASSES), objects).tolist())


def classification_image(seed: int, index: int) -> tuple[np.ndarray, int]:
    """CROP x CROP RGB image with one object, and its class; 0 = clutter alone. Classes take turns."""
    rng = np.random.default_rng([seed, _STREAMS["class"], index])
    label = index % len(CLASSES)
    return scene(rng, CROP, CROP, [label] if label else []).image, label


def _write_split(root: Path, seed: int, split: str, count: int) -> None:
    palette = make_palette(256).ravel().tolist()
    names = []
    for i in range(count):
        drawn, name = segmentation_scene(seed, split, i), f"{split}_{i:04d}"
        Image.fromarray(drawn.image).save(root / "JPEGImages" / f"{name}.jpg", quality=95)
        label = Image.fromarray(drawn.label)
        label.putpalette(palette)
        label.save(root / "SegmentationClass" / f"{name}.png")
        names.append(name)
    (root / "ImageSets/Segmentation" / f"{split}.txt").write_text("".join(f"{n}\n" for n in names))


def _write_classification(root: Path, seed: int, count: int) -> None:
    """One image in eight is held out: Classification/{train,val}.txt, lines "Classification/000012.jpg 3"."""
    lists: dict[str, list[str]] = {"train": [], "val": []}
    for i in range(count):
        image, label = classification_image(seed, i)
        path = f"Classification/{i:06d}.jpg"
        Image.fromarray(image).save(root / path, quality=95)
        lists["val" if i // len(CLASSES) % 8 == 7 else "train"].append(f"{path} {label}\n")
    for split, lines in lists.items():
        (root / f"Classification/{split}.txt").write_text("".join(lines))


def _refuse_to_replace(root: Path) -> None:
    """Raise SampleError where the folder holds images that were not drawn here."""
    file = root / "classes.txt"
    if (root / "JPEGImages").is_dir() and not (file.is_file() and read_classes(file).names == CLASSES):
        raise SampleError(f"{root}: holds images of another data set already; draw into another folder")


def make_dataset(
    out_dir: str | Path, seed: int = 0, n_train: int = 480, n_val: int = 120, n_class_images: int = 4000
) -> Path:
    """Draw the data set into `out_dir` (made if missing) and return it.

    JPEGImages, SegmentationClass (palette PNG, void 255) and ImageSets/Segmentation as in VOC, classes.txt,
    and Classification with its lists. A folder that already holds the same drawing is left as it is.

    Raises:
        SampleError: the folder holds another data set.
    """
    root = Path(out_dir)
    made_from = json.dumps({"version": VERSION, "seed": seed, "counts": [n_train, n_val, n_class_images]})
    stamp = root / "drawn.json"
    if stamp.exists() and stamp.read_text() == made_from:
        return root
    _refuse_to_replace(root)
    root.mkdir(parents=True, exist_ok=True)
    with making(root / "drawing") as made:
        _draw(made, seed, n_train, n_val, n_class_images)
        stamp.unlink(missing_ok=True)
        _move(made, root)
    replace_text(stamp, made_from)
    return root


def _draw(root: Path, seed: int, n_train: int, n_val: int, n_class_images: int) -> None:
    """All of a drawing but for its stamp, in a new folder."""
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation", "Classification"):
        (root / folder).mkdir(parents=True)
    (root / "classes.txt").write_text("".join(f"{name}\n" for name in CLASSES))
    _write_split(root, seed, "train", n_train)
    _write_split(root, seed, "val", n_val)
    _write_classification(root, seed, n_class_images)


def _move(made: Path, root: Path) -> None:
    """Put each file into the place of the one that was drawn there before."""
    for file in [path for path in made.rglob("*") if path.is_file()]:
        place = root / file.relative_to(made)
        place.parent.mkdir(parents=True, exist_ok=True)
        file.replace(place)
