"""Whole images with one label each: what a classifier is trained on before it becomes convolutional."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .base import OrderedLayer
from .cache import Sample
from .reading import SampleError, read_image, read_lines, to_blob


class ImageLabelLayer(OrderedLayer):
    """Batches of images of one size, from a list of lines "path label".

    Tops: data `batch` x 3 x `size` x `size` (BGR, mean subtracted) and label `batch`.
    param_str: `source` (the list), `root` (its paths start there), `batch`, `size`, `mean` (B, G, R);
    `randomize` (default True: drawn with replacement), `seed`, and `prefetch`, `cache` and `start` of every
    `OrderedLayer`.
    """

    required = OrderedLayer.required | {"source", "root", "batch", "size"}

    def prepare(self, params: dict[str, Any]) -> tuple[int, int]:
        self.root, self.size = Path(params["root"]), int(params["size"])
        self.items = [self._entry(line, params["source"]) for line in read_lines(params["source"])]
        return len(self.items), int(params["batch"])

    def _entry(self, line: str, source: str) -> tuple[Path, int]:
        name, _, label = line.rpartition(" ")
        if not name or not label.isdigit():
            raise SampleError(f"{source}: expected lines 'path label', found {line!r}")
        return self.root / name, int(label)

    def read(self, index: int) -> Sample:
        path, label = self.items[index]
        image = read_image(path)
        if image.shape[:2] != (self.size, self.size):
            raise SampleError(
                f"{path}: expected an image of {self.size, self.size} (H, W), found {image.shape[:2]}"
            )
        return image, np.array(label, np.float32)

    def collate(self, items: list[Sample]) -> Sample:
        images, labels = zip(*items, strict=True)
        return np.stack([to_blob(image, self.mean) for image in images]), np.stack(labels)
