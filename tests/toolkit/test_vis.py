"""The palette of PASCAL VOC and overlays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vis import color_seg, make_palette, vis_seg

#: The first colours as the VOC devkit prints them, and the one of void.
KNOWN = {
    0: (0, 0, 0), 1: (128, 0, 0), 2: (0, 128, 0), 3: (128, 128, 0), 4: (0, 0, 128), 8: (64, 0, 0),
    15: (192, 128, 128), 20: (0, 64, 128), 255: (224, 224, 192),
}  # fmt: skip


def test_the_palette_is_vocs() -> None:
    palette = make_palette(256)
    assert palette.dtype == np.uint8 and palette.shape == (256, 3)
    assert {k: tuple(palette[k].tolist()) for k in KNOWN} == KNOWN
    assert len(np.unique(palette, axis=0)) == 256


@pytest.mark.data
def test_the_palette_is_that_of_a_voc_label_file(shared: Path) -> None:
    with Image.open(next((shared / "data/voc-sample/VOC2011/SegmentationClass").glob("*.png"))) as label:
        np.testing.assert_array_equal(np.reshape(label.getpalette(), (256, 3)), make_palette(256))


def test_color_seg_replaces_indices() -> None:
    palette = make_palette(3)
    seg = np.array([[0, 2], [1, 1]], np.uint8)
    assert color_seg(seg, palette).tolist() == [[[0, 0, 0], [0, 128, 0]], [[128, 0, 0], [128, 0, 0]]]


def test_overlay_mixes_classes_and_leaves_background() -> None:
    image = np.full((1, 2, 3), 100, np.uint8)
    out = vis_seg(image, np.array([[0, 1]]), make_palette(2), alpha=0.25)
    assert out.dtype == np.uint8
    assert out.tolist() == [[[100, 100, 100], [107, 75, 75]]]  # 0.75 * 100 + 0.25 * (128, 0, 0)
    assert (image == 100).all()


def test_overlay_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\(2, 3\).*\(3, 2\)"):
        vis_seg(np.zeros((2, 3, 3), np.uint8), np.zeros((3, 2), int), make_palette(2))
