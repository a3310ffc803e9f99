"""The confusion matrix as a picture."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fcn.score.heatmap import draw_confusion
from voc_layers.facts import CONTEXT_CLASSES


@pytest.mark.parametrize("count", [1, 3, 60])
def test_every_class_gets_room_for_its_name(count: int, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    hist = np.random.default_rng(0).integers(0, 9, (count, count)) + 90 * np.eye(count, dtype=int)
    hist[0] = 0  # a class that is true nowhere
    path = draw_confusion(hist, CONTEXT_CLASSES[:count], tmp_path / "pictures/confusion.png")
    assert path is not None
    with Image.open(path) as picture:
        assert min(picture.size) > 20 * count + 200
        pixels = np.asarray(picture.convert("RGB"))
    middle = pixels[pixels.shape[0] // 3, pixels.shape[1] // 3 :]
    assert len(np.unique(middle, axis=0)) > 1


def test_without_matplotlib_there_is_no_picture_and_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert draw_confusion(np.eye(2), ("a", "b"), tmp_path / "confusion.png") is None
    assert "caffe-fcn[report]" in caplog.text
