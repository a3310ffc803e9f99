"""What the data layers share: checked settings, order, prefetch, and state for an exact resume.

The layers use `caffe.Layer` alone, so they run on any Caffe that has Python layers.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import numpy as np

import caffe
from voc_layers.prefetch import Order, Prefetcher
from voc_layers.reading import (
    VOID,
    ClassList,
    DataError,
    check_label,
    check_sizes,
    read_classes,
    read_image,
    to_blob,
)


def parse_params(text: str, layer: str, required: set[str], optional: set[str]) -> dict[str, Any]:
    """A layer's `param_str`, a Python dict literal, as a dict; DataError for other text or other keys."""
    try:
        params = ast.literal_eval(text)
    except (ValueError, SyntaxError) as error:
        raise DataError(f"{layer}: param_str is not a Python dict literal: {text!r}") from error
    if not isinstance(params, dict):
        raise DataError(f"{layer}: param_str must be a dict, found {text!r}")
    missing, unknown = sorted(required - params.keys()), sorted(map(str, params.keys() - required - optional))
    for verb, keys in (("lacks", missing), ("has unknown", unknown)):
        if keys:
            raise DataError(
                f"{layer}: param_str {verb} {', '.join(keys)}; it takes "
                f"{', '.join(sorted(required))} and optionally {', '.join(sorted(optional))}"
            )
    return params


class OrderedLayer(caffe.Layer):
    """A data layer with two tops, data and label, that reads one sample for each forward pass.

    Subclasses say which keys `param_str` has, what `prepare` makes of them (it returns the number of items
    and the batch size) and how `load` reads a sample: (data, label), arrays of the tops' shapes.
    """

    required: frozenset[str] = frozenset({"mean"})
    optional: frozenset[str] = frozenset({"randomize", "seed", "prefetch"})

    def prepare(self, params: dict[str, Any]) -> tuple[int, int]:
        raise TypeError(f"{type(self).__name__} does not say what its param_str means")

    def load(self, indices: list[int]) -> tuple[np.ndarray, np.ndarray]:
        raise TypeError(f"{type(self).__name__} does not say how a sample is read")

    def setup(self, bottom: Any, top: Any) -> None:
        name = type(self).__name__
        if len(bottom) != 0 or len(top) != 2:
            raise DataError(
                f"{name}: expected no bottom and two tops (data, label), found {len(bottom)} "
                f"bottoms and {len(top)} tops"
            )
        params = parse_params(self.param_str, name, set(self.required), set(self.optional))
        self.mean = np.array(params["mean"], np.float64)
        if self.mean.shape != (3,):
            raise DataError(f"{name}: mean must be three numbers (B, G, R), found {params['mean']!r}")
        count, batch = self.prepare(params)
        order = Order(count, self.draws(params), params.get("seed"))
        self.samples = Prefetcher(self.load, order, batch, int(params.get("prefetch", 2)))

    def draws(self, params: dict[str, Any]) -> bool:
        """Whether the order is random."""
        return bool(params.get("randomize", True))

    def reshape(self, bottom: Any, top: Any) -> None:
        for blob, array in zip(top, self.samples.current()):
            blob.reshape(*array.shape)

    def forward(self, bottom: Any, top: Any) -> None:
        for blob, array in zip(top, self.samples.current()):
            blob.data[...] = array
        self.samples.advance()

    def backward(self, top: Any, propagate_down: Any, bottom: Any) -> None:
        """Data have no gradient."""

    def snapshot_state(self) -> dict[str, Any]:
        """Where the layer stands, as plain data: what the next forward pass reads, and the generator."""
        return self.samples.state()

    def restore_state(self, state: dict[str, Any]) -> None:
        """Stand where `snapshot_state` was taken; ValueError where the list or its order is another one."""
        self.samples.restore(state)


class SegDataLayer(OrderedLayer):
    """Images and label maps, one at a time, at their own sizes.

    Tops: data 1 x 3 x H x W (BGR, mean subtracted) and label 1 x 1 x H x W (class indices, 255 = void).
    param_str: `split`, `mean` (B, G, R); `randomize` (default True, but only a split with "train" in its
    name is ever random) and `seed`. Beyond the reference release: `classes` (a number, or the path of a
    classes.txt, to check labels against), `void` (the label files' value for void, default 255), `prefetch`
    (images read ahead, default 2). A folder in VOC layout with a classes.txt is checked against it anyway.
    """

    required = frozenset({"split", "mean"})
    optional = OrderedLayer.optional | {"classes", "void"}

    def list_ids(self, params: dict[str, Any]) -> list[str]:
        """The image ids of the split, in order. Remembers the folders."""
        raise TypeError(f"{type(self).__name__} does not say where its images are")

    def paths(self, name: str) -> tuple[Path, Path]:
        """Files of the image and the label of one id."""
        raise TypeError(f"{type(self).__name__} does not say where its images are")

    def read_label(self, path: Path) -> np.ndarray:
        raise TypeError(f"{type(self).__name__} does not say how a label is read")

    def prepare(self, params: dict[str, Any]) -> tuple[int, int]:
        self.split = str(params["split"])
        self.indices = self.list_ids(params)
        listed = self.class_list(params)
        self.classes = len(listed.names) if listed else None
        if isinstance(params.get("classes"), int):
            self.classes = params["classes"]
        self.void = int(params.get("void", listed.void if listed else VOID))
        return len(self.indices), 1

    def class_list(self, params: dict[str, Any]) -> ClassList | None:
        """The classes.txt named by `classes`; None if there is none."""
        return read_classes(params["classes"]) if isinstance(params.get("classes"), str) else None

    def draws(self, params: dict[str, Any]) -> bool:
        return super().draws(params) and "train" in self.split

    def load(self, indices: list[int]) -> tuple[np.ndarray, np.ndarray]:
        image_path, label_path = self.paths(self.indices[indices[0]])
        image, raw = read_image(image_path), self.read_label(label_path)
        check_sizes(image, raw, image_path, label_path)
        label = check_label(raw, label_path, self.classes, self.void)
        return to_blob(image, self.mean)[None], label[None, None]
