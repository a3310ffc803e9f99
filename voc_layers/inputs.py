"""What a net may look at: a photograph, a depth map, an HHA picture. Imports no caffe."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .reading import read_depth, read_image, to_blob, to_planes


@dataclass(frozen=True)
class Input:
    """One input of a net. name: what its files show. mean: of each channel, as the net reads them."""

    name: str
    mean: tuple[float, ...]

    def read(self, path: str | Path) -> np.ndarray:
        """The file, decoded: uint8 H x W x 3, RGB."""
        return read_image(path)

    def blob(self, array: np.ndarray) -> np.ndarray:
        """What the net reads of it: float32 C x H x W, mean subtracted."""
        return to_planes(array, self.mean)


class Color(Input):
    """A photograph, which the nets read as BGR."""

    def blob(self, array: np.ndarray) -> np.ndarray:
        return to_blob(array, self.mean)


class Hha(Input):
    """Horizontal disparity, height above the ground and angle with gravity, in the order of the picture."""


class LogDepth(Input):
    """A depth map without holes, of 8 or 16 bits, which the net reads as its logarithm."""

    def read(self, path: str | Path) -> np.ndarray:
        return read_depth(path)

    def blob(self, array: np.ndarray) -> np.ndarray:
        logarithm: np.ndarray = np.log(array.astype(np.float32)) - np.float32(self.mean[0])
        return logarithm[None]
