"""A data set of many pairs with three faults: one reading of each file finds all three."""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fcn.data import audit
from voc_layers.folder import VocFolder

SIZE = (48, 64)


def check(pairs: int, seed: int) -> list[str]:
    """Draw so many pairs, spoil three, check them; what was not found, or read twice."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        names = _draw(root, pairs)
        spoiled = _spoil(root, random.Random(seed).sample(names, 3))
        opened: Counter[str] = Counter()

        def seen(event: str, arguments: tuple[Any, ...]) -> None:
            if event == "open" and isinstance(arguments[0], str) and arguments[0].startswith(f"{root}/"):
                opened[arguments[0]] += 1

        sys.addaudithook(seen)
        start = time.monotonic()
        found = audit(VocFolder.open(root), ("train",))
        seconds = time.monotonic() - start
    images = [count for path, count in opened.items() if path.endswith(".png")]
    problems = [
        f"{name}: not reported" for name in spoiled if not any(name in line for line in found.problems)
    ]
    problems += (
        []
        if len(found.problems) == len(spoiled)
        else [f"{len(found.problems)} problems: {found.problems[:5]}"]
    )
    problems += [] if max(images) == 1 else [f"a file was opened {max(images)} times"]
    print(
        f"planted: {pairs} pairs with {len(spoiled)} faults: {len(found.problems)} reported in one pass of "
        f"{seconds:.1f} s; each of {len(images)} files opened {max(images)} time(s)"
    )
    return problems


def _draw(root: Path, pairs: int) -> list[str]:
    """Pairs of 64 x 48 pixels, of five images that are written again and again; their ids."""
    rng = np.random.default_rng(0)
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (root / folder).mkdir(parents=True)
    for i in range(5):
        Image.fromarray(rng.integers(0, 255, (*SIZE, 3), np.uint8)).save(root / f"image{i}.png")
        Image.fromarray(rng.integers(0, 3, SIZE, np.uint8)).save(root / f"label{i}.png")
    contents = [[(root / f"{what}{i}.png").read_bytes() for what in ("image", "label")] for i in range(5)]
    names = [f"{number:05d}" for number in range(pairs)]
    for number, name in enumerate(names):
        image, label = contents[number % 5]
        (root / f"JPEGImages/{name}.png").write_bytes(image)
        (root / f"SegmentationClass/{name}.png").write_bytes(label)
    (root / "ImageSets/Segmentation/train.txt").write_text("\n".join(names))
    (root / "classes.txt").write_text("sky\nroad\ncar\n")
    return names


def _spoil(root: Path, names: list[str]) -> list[str]:
    """An image that is cut, a label of another size, a label with a value that is no class."""
    cut, small, wrong = names
    image = root / f"JPEGImages/{cut}.png"
    image.write_bytes(image.read_bytes()[:-4000])
    Image.fromarray(np.zeros((SIZE[0], SIZE[1] - 1), np.uint8)).save(root / f"SegmentationClass/{small}.png")
    Image.fromarray(np.full(SIZE, 77, np.uint8)).save(root / f"SegmentationClass/{wrong}.png")
    return names
