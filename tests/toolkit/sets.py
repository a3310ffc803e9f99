"""Tiny data sets in the formats of NYUDv2, SIFT Flow and PASCAL-Context, for the tests that read them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import scipy.io
from PIL import Image

SCENES = "spatial_envelope_256x256_static_8outdoorcategories"
SIZE = (33, 41)


def _save(array: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def _save_mat(path: Path, **variables: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(path, variables, do_compression=True)


def nyud(root: Path) -> Path:
    """Five scenes; lists train, val and test, and no trainval."""
    rng = np.random.default_rng(1)
    for i in range(5001, 5006):
        _save(rng.integers(0, 255, (*SIZE, 3), np.uint8), root / f"data/images/img_{i}.png")
        _save(rng.integers(500, 9000, SIZE, np.uint16), root / f"data/depth/img_{i}.png")
        _save(rng.integers(0, 255, (*SIZE, 3), np.uint8), root / f"data/hha/img_{i}.png")
        label = rng.integers(0, 41, SIZE).astype(np.uint8)
        _save_mat(root / f"segmentation/img_{i}.mat", segmentation=label)
    for name, ids in {"train": "5001\n5002\n", "val": "5003\n", "test": "5004\n5005\n"}.items():
        (root / f"{name}.txt").write_text(ids)
    return root


def siftflow(root: Path) -> Path:
    """Four scenes with both labelings; the semantic ones of the test list have no cow (9), desert, moon."""
    rng = np.random.default_rng(2)
    seen = [k for k in range(34) if k not in (9, 11, 16)]
    for i in range(4):
        _save(rng.integers(0, 255, (*SIZE, 3), np.uint8), root / f"Images/{SCENES}/s{i}.jpg")
        semantic = rng.choice(seen if i > 1 else np.arange(34), SIZE).astype(np.uint8)
        _save_mat(root / f"SemanticLabels/{SCENES}/s{i}.mat", S=semantic)
        geometric = rng.choice([-1, 1, 2, 3], SIZE).astype(np.int16)
        _save_mat(root / f"GeoLabels/{SCENES}/s{i}.mat", S=geometric)
    (root / "trainval.txt").write_text("s0\ns1\n")
    (root / "test.txt").write_text("s2\ns3\n")
    return root


def context(root: Path, names: tuple[str, ...]) -> tuple[Path, Path]:
    """VOC 2010 and the annotations; `names` are the 59 classes, of which the full list renames three."""
    voc, home, rng = root / "VOC2010", root / "context", np.random.default_rng(3)
    home.mkdir()
    others = {"diningtable": "table", "bedcloth": "bedclothes", "clothes": "cloth"}
    known = ["zebra crossing", *(others.get(name, name) for name in reversed(names))]
    (home / "labels.txt").write_text("".join(f"{k}: {name}\n" for k, name in enumerate(known, 1)))
    (home / "59_labels.txt").write_text("".join(f"{k}: {name}\n" for k, name in enumerate(names, 1)))
    for i in range(4):
        _save(rng.integers(0, 255, (*SIZE, 3), np.uint8), voc / f"JPEGImages/2008_00000{i}.jpg")
        numbers = rng.integers(0, len(known) + 1, SIZE).astype(np.uint16)
        _save_mat(home / f"trainval/2008_00000{i}.mat", LabelMap=numbers)
    lists = voc / "ImageSets/Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("2008_000000\n2008_000001\n")
    (lists / "val.txt").write_text("2008_000002\n2008_000003\n")
    return voc, home
