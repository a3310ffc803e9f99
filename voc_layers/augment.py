"""Training images changed at random, by choice: the published recipes use them as they are.

The paper tried mirroring and jitter of 32 pixels and found no noticeable gain (Long et al., section 4.3).
Imports no caffe.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from .facts import VOID
from .reading import SampleError

#: The keys of a `param_str` that an Augmentation is made of.
KEYS = frozenset({"mirror", "scale", "crop"})
#: How much larger or smaller images may become: beyond that it is a mistake.
SCALES = (0.05, 20.0)


@dataclass(frozen=True)
class Augmentation:
    """What is drawn for each image, in this order.

    Attributes:
        scale: least and most of the factor that its sides are multiplied by, all as likely.
        crop: (H, W) of a piece of it, all places as likely. What is smaller stays so, see `batched`.
        mirror: whether half of the images have left and right exchanged.
    """

    scale: tuple[float, float] | None = None
    crop: tuple[int, int] | None = None
    mirror: bool = False

    @classmethod
    def of(cls, params: Mapping[str, Any], layer: str) -> Augmentation:
        """What a layer's `param_str` says; SampleError for values that have no meaning."""
        scale, crop, mirror = params.get("scale"), params.get("crop"), params.get("mirror", False)
        least, most = SCALES
        if scale is not None and not (_pair(scale, (int, float)) and least <= scale[0] <= scale[1] <= most):
            raise SampleError(
                f"{layer}: scale must be two factors from {least:g} to {most:g}, the lower first, found "
                f"{scale!r}"
            )
        if crop is not None and not (_pair(crop, (int,)) and min(crop) > 0):
            raise SampleError(f"{layer}: crop must be (H, W), whole numbers from 1, found {crop!r}")
        if not isinstance(mirror, bool):
            raise SampleError(f"{layer}: mirror must be True or False, found {mirror!r}")
        return cls(tuple(scale) if scale else None, tuple(crop) if crop else None, mirror)

    def __bool__(self) -> bool:
        """Whether anything is drawn."""
        return self != Augmentation()

    def pixels(self, pixels: float) -> float:
        """Of an image, on average, where it has so many before."""
        if self.crop:
            return self.crop[0] * self.crop[1]
        low, high = self.scale or (1, 1)
        return pixels * (low * low + low * high + high * high) / 3

    def apply(self, arrays: Sequence[np.ndarray], rng: random.Random) -> tuple[np.ndarray, ...]:
        """An image and its labels (H x W x 3 and H x W, of any number), changed alike.

        Images are interpolated (bilinear, over the area of a pixel where they shrink); of labels the nearest
        value is taken, so that there are no others than before.
        """
        if self.scale:
            arrays = _scaled(arrays, rng.uniform(*self.scale))
        if self.crop:
            arrays = _cropped(arrays, self.crop, rng)
        if self.mirror and rng.random() < 0.5:
            arrays = [array[:, ::-1] for array in arrays]
        return tuple(arrays)


def stream(seed: int | None, number: int) -> random.Random:
    """The generator of one sample: of the seed and the number of its draw alone, whoever reads it when."""
    return random.Random(None if seed is None else f"augment {seed} {number}")


def batched(
    samples: Sequence[Sequence[np.ndarray]], size: tuple[int, int] | None = None
) -> tuple[np.ndarray, ...]:
    """Blobs of several samples as one, filled up below and on the right to the size of the largest.

    What is filled in counts nowhere: data (float) become 0, which is the mean, and labels (uint8) void.

    Args:
        samples: of each its blobs, 1 x C x H x W.
        size: (H, W) that all are filled up to at least.
    """
    shapes = [sample[0].shape[2:] for sample in samples]
    height, width = (max(sides) for sides in zip(size or (1, 1), *shapes))
    if all(shape == (height, width) for shape in shapes):
        return tuple(np.concatenate(blobs) if blobs[1:] else blobs[0] for blobs in zip(*samples))
    return tuple(np.concatenate([_filled(blob, height, width) for blob in blobs]) for blobs in zip(*samples))


def _pair(value: Any, kinds: tuple[type, ...]) -> bool:
    """Whether a value is two numbers of these types."""
    return (
        isinstance(value, (tuple, list))
        and len(value) == 2
        and all(isinstance(number, kinds) and not isinstance(number, bool) for number in value)
    )


def _scaled(arrays: Sequence[np.ndarray], factor: float) -> list[np.ndarray]:
    height, width = (max(1, round(side * factor)) for side in arrays[0].shape[:2])
    return [
        np.asarray(
            Image.fromarray(array).resize(
                (width, height), Image.Resampling.BILINEAR if array.ndim == 3 else Image.Resampling.NEAREST
            )
        )
        for array in arrays
    ]


def _cropped(arrays: Sequence[np.ndarray], crop: tuple[int, int], rng: random.Random) -> list[np.ndarray]:
    height, width = arrays[0].shape[:2]
    top, left = rng.randint(0, max(0, height - crop[0])), rng.randint(0, max(0, width - crop[1]))
    return [array[top : top + crop[0], left : left + crop[1]] for array in arrays]


def _filled(blob: np.ndarray, height: int, width: int) -> np.ndarray:
    below, right = height - blob.shape[2], width - blob.shape[3]
    value = 0 if blob.dtype.kind == "f" else VOID
    return np.pad(blob, ((0, 0), (0, 0), (0, below), (0, right)), constant_values=value)
