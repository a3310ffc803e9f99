"""A small data set and base weights for the tests of training."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fcn.commands import weights
from fcn.fetching import download, transfer
from tests.toolkit.served import Server, serving

WIDTH = 0.05


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder in VOC layout: see `draw`."""
    return draw(tmp_path)


def draw(folder: Path) -> Path:
    """`data` in a folder: three classes, three images to train on and two to score, of two sizes."""
    root, rng = folder / "data", np.random.default_rng(0)
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (root / folder).mkdir(parents=True)
    for i in range(5):
        size = (30, 40 + 10 * (i % 2))
        Image.fromarray(rng.integers(0, 255, (*size, 3), np.uint8)).save(root / f"JPEGImages/{i}.jpg")
        label = rng.choice([0, 1, 2, 255], size).astype(np.uint8)
        Image.fromarray(label).save(root / f"SegmentationClass/{i}.png")
    (root / "ImageSets/Segmentation/train.txt").write_text("0\n1\n2\n")
    (root / "ImageSets/Segmentation/val.txt").write_text("3\n4\n")
    (root / "classes.txt").write_text("sky\nroad\ncar\n")
    return root


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server of files on this machine, without any; nobody waits long for it."""
    monkeypatch.setattr(transfer, "TIMEOUT", 0.5)
    monkeypatch.setattr(download, "PAUSE", 0.0)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving() as state:
        yield state


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of a narrow VGG16 classifier."""
    path = tmp_path_factory.mktemp("base") / "vgg16.caffemodel"
    assert weights.main(["random", "vgg16", "--width", str(WIDTH), "--classes", "4", "-o", str(path)]) == 0
    return path
