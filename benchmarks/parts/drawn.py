"""Images and labels of PASCAL VOC's size, drawn: what the benchmarks of the toolkit read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from fcn.demo.scenes import CLASSES, Scene, scene
from fcn.score import save_label

H, W = 375, 500


def draw(number: int) -> Scene:
    """A scene of six objects, H x W."""
    rng = np.random.default_rng(number)
    return scene(rng, H, W, rng.integers(1, len(CLASSES), 6).tolist())


def write_sbd(root: Path, count: int) -> None:
    """A folder in SBD's layout: JPEG, compressed .mat, train.txt."""
    import scipy.io

    for folder in ("img", "cls"):
        (root / folder).mkdir(parents=True)
    for i in range(count):
        drawn = draw(i)
        Image.fromarray(drawn.image).save(root / f"img/{i}.jpg", quality=95)
        label = {"GTcls": {"Segmentation": drawn.label, "Boundaries": np.zeros(len(CLASSES), np.uint8)}}
        scipy.io.savemat(root / f"cls/{i}.mat", label, do_compression=True)
    (root / "train.txt").write_text("".join(f"{i}\n" for i in range(count)))


def write_pairs(predictions: Path, labels: Path, count: int) -> None:
    """Two folders of palette PNGs: label maps, and the same a few pixels aside and without void."""
    scenes = [draw(i).label for i in range(16)]
    for i in range(count):
        label = np.roll(scenes[i % len(scenes)], 7 * i, axis=1)
        save_label(label, labels / f"{i:04d}.png")
        save_label(np.roll(np.where(label == 255, 0, label), 5, axis=0), predictions / f"{i:04d}.png")
