"""Input conventions: a first convolution for scaled RGB becomes one for Caffe's, BGR of 0 to 255 less a mean.

A net of another framework computes W * (rgb / 255 - m) / s + b. With Caffe's blob x = bgr - M that is
W / (255 s) * x + (b + sum of W (M - 255 m) / (255 s)), where the channels of W are turned around. It is the
same number wherever the kernel lies on the image. In the zero padding, the one net sees the colour 255 m, the
other M.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from voc_layers.facts import MEAN_BGR


@dataclass(frozen=True)
class Pixels:
    """How a net wants its images: RGB of 0 to 1, less `mean`, divided by `std` (R, G, B each)."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    @property
    def mean_bgr(self) -> tuple[float, float, float]:
        """The mean as Caffe has it: B, G, R of 0 to 255."""
        red, green, blue = (round(255 * value, 6) for value in self.mean)
        return blue, green, red


#: torchvision's normalisation of ImageNet, with which it trained its own nets.
IMAGENET = Pixels((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
#: Of torchvision's VGG16_Weights.IMAGENET1K_FEATURES: the original's mean, whole numbers, and no scale.
ORIGINAL = Pixels((0.48235, 0.45882, 0.40784), (1 / 255, 1 / 255, 1 / 255))


def fold(
    weights: np.ndarray, biases: np.ndarray, pixels: Pixels, mean: Sequence[float] = MEAN_BGR
) -> tuple[np.ndarray, np.ndarray]:
    """The first convolution for images as Caffe has them.

    Args:
        weights: O x 3 x H x W, for R, G, B.
        biases: O.
        mean: B, G, R of 0 to 255: what will be subtracted from images.

    Returns:
        weights (for B, G, R) and biases, float32.
    """
    scaled = _scaled(weights, pixels)
    shift = np.asarray(mean) - pixels.mean_bgr
    moved = biases + np.einsum("ocij,c->o", scaled, shift)
    return scaled.astype(np.float32), moved.astype(np.float32)


def padding_error(weights: np.ndarray, pixels: Pixels, mean: Sequence[float] = MEAN_BGR) -> float:
    """The most by which an output of the folded convolution differs where it reaches into the padding.

    Everything else is exact. 0 where `mean` is the net's own.
    """
    scaled = _scaled(weights, pixels)
    taps = np.einsum("ocij,c->oij", scaled, np.asarray(mean) - pixels.mean_bgr)
    up, down = np.maximum(taps, 0).sum((1, 2)), np.minimum(taps, 0).sum((1, 2))
    return float(np.maximum(up, -down).max(initial=0))


def _scaled(weights: np.ndarray, pixels: Pixels) -> np.ndarray:
    """Kernels for B, G, R of 0 to 255, in float64."""
    scale = 255 * np.asarray(pixels.std)
    turned: np.ndarray = (weights.astype(np.float64) / scale[:, None, None])[:, ::-1]
    return turned
