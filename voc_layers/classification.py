"""Whole images with one label each: what a classifier is trained on before it becomes convolutional."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .base import OrderedLayer
from .reading import SampleError, read_image, read_lines, to_blob


class ImageLabelLayer(OrderedLayer):
    """Batches of images of one size, from a list of lines "path label".

    Tops: data `batch` x 3 x `size` x `size` (BGR, mean subtracted) and label `batch`.
    param_str: `source` (the list), `root` (its paths start there), `batch`, `size`, `mean` (B, G, R);
    `randomize` (default True: drawn with replacement), `seed`, `prefetch` (batches read ahead, default 2),
    `cache` (default False: keep decoded images in memory).
    """

    required = OrderedLayer.required | {"source", "root", "batch", "size"}
    optional = OrderedLayer.optional | {"cache"}

    def prepare(self, params: dict[str, Any]) -> tuple[int, int]:
        self.root, self.size = Path(params["root"]), int(params["size"])
        self.items = [self._entry(line, params["source"]) for line in read_lines(params["source"])]
        self.cache: dict[int, np.ndarray] | None = {} if params.get("cache") else None
        return len(self.items), int(params["batch"])

    def _entry(self, line: str, source: str) -> tuple[Path, int]:
        name, _, label = line.rpartition(" ")
        if not name or not label.isdigit():
            raise SampleError(f"{source}: expected lines 'path label', found {line!r}")
        return self.root / name, int(label)

    def load(self, indices: list[int]) -> tuple[np.ndarray, np.ndarray]:
        data = np.stack([to_blob(self._image(i), self.mean) for i in indices])
        return data, np.array([self.items[i][1] for i in indices], np.float32)

    def _image(self, index: int) -> np.ndarray:
        if self.cache is not None and index in self.cache:
            return self.cache[index]
        path = self.items[index][0]
        image = read_image(path)
        if image.shape[:2] != (self.size, self.size):
            raise SampleError(
                f"{path}: expected an image of {self.size, self.size} (H, W), found {image.shape[:2]}"
            )
        if self.cache is not None:
            self.cache[index] = image
        return image
