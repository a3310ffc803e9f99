"""Label maps as pictures: the PASCAL VOC palette and overlays. NumPy only."""

from __future__ import annotations

import numpy as np


def make_palette(num_classes: int) -> np.ndarray:
    """PASCAL VOC's colour map, uint8 num_classes x 3, RGB (VOC devkit, VOClabelcolormap).

    The bits of a class index are dealt out in turn to red, green and blue, highest bit of the colour first.
    """
    index = np.arange(num_classes)
    palette = np.zeros((num_classes, 3), np.uint8)
    for place in range(8):
        for channel in range(3):
            bit = index >> (3 * place + channel) & 1
            palette[:, channel] |= (bit << (7 - place)).astype(np.uint8)
    return palette


def color_seg(seg: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Replace the class indices of an H x W label map with their colours: H x W x 3, the palette's type."""
    return palette[np.asarray(seg).astype(np.intp)]


def vis_seg(img: np.ndarray, seg: np.ndarray, palette: np.ndarray, alpha: float = 0.5) -> np.ndarray:
    """Lay the class colours over an image; class 0 stays clear.

    img: H x W x 3 in [0, 255]; seg: H x W class indices; palette: K x 3; alpha: opacity in [0, 1].
    Gives uint8 H x W x 3. ValueError where the two sizes differ.
    """
    seg = np.asarray(seg).astype(np.intp)
    if np.shape(img)[:2] != seg.shape:
        raise ValueError(f"image is {np.shape(img)[:2]} pixels (H, W) but its label map is {seg.shape}")
    out = np.array(img, np.float32)
    mask = seg > 0
    out[mask] = out[mask] * (1 - alpha) + alpha * palette[seg[mask]]
    return out.astype(np.uint8)
