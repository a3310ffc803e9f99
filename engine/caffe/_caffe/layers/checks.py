"""What layers of several modules check alike: shapes as messages show them, and class labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..blob import Blob
from ..layer import Layer


def shown(layer: Layer, bottom: Sequence[Blob], index: int) -> str:
    """Bottom `index` for a message: its name and shape."""
    names = layer.layer_param.bottom
    name = f"'{names[index]}'" if index < len(names) else f"bottom {index}"
    return f"{name} {bottom[index].dims}"


def split_at(dims: Sequence[int], axis: int) -> tuple[int, int, int]:
    """(O, K, I): how many items before `axis`, along it, and after it."""
    return math.prod(dims[:axis]), dims[axis], math.prod(dims[axis + 1 :])


def predictions(layer: Layer, bottom: Sequence[Blob], axis: int) -> tuple[int, int, int]:
    """(O, K, I) of the scores in bottom 0 with K classes on `axis`, for the O*I labels in bottom 1.

    Raises:
        LayerError: bottom 1 holds another number of labels.
    """
    axis = bottom[0].axis(axis)
    outer, classes, inner = split_at(bottom[0].dims, axis)
    found, needed = bottom[1].count, outer * inner
    if found != needed:
        dims = bottom[0].dims
        hint = ""
        if found in (3 * needed, 4 * needed):
            hint = f"; labels of {found // needed} channels look like colours: give one class index per pixel"
        layer.fail(
            f"Number of labels must match number of predictions: scores {shown(layer, bottom, 0)} with "
            f"classes on axis {axis} need {dims[:axis] + dims[axis + 1 :]} = {needed} labels, one "
            f"class index each; labels {shown(layer, bottom, 1)} are {found}{hint}"
        )
    return outer, classes, inner


def item_labels(layer: Layer, bottom: Sequence[Blob], what: str) -> tuple[int, int, int]:
    """(N, K, 1) for the one label per item in bottom 1, whatever the axes of bottom 0 after the first.

    Raises:
        LayerError: bottom 1 holds another number of labels; `what` is the name of bottom 0's values.
    """
    items = bottom[0].dims[0]
    layer.check(
        bottom[1].count == items,
        f"one label per item is needed, {items} in all: {what} {shown(layer, bottom, 0)}, labels "
        f"{shown(layer, bottom, 1)}; for a label per pixel use SoftmaxWithLoss",
    )
    return items, bottom[0].count // max(items, 1), 1


def check_legacy(layer: Layer, bottom: Sequence[Blob], *indices: int) -> None:
    """See that these bottoms have the `num`, `channels`, `height` and `width` Caffe's layer asks them for.

    Raises:
        LayerError: one has more than 4 axes.
    """
    for index in indices:
        if len(bottom[index].dims) > 4:
            layer.fail(
                f"Cannot use legacy accessors on Blobs with > 4 axes: {shown(layer, bottom, index)}; put a "
                "Flatten or Reshape layer before it"
            )


#: So many labels are looked at one by one in the time that two operations of PyTorch take to start.
_FEW = 64


class Labels(NamedTuple):
    """Class labels ready to index with. `ignored` None: all of them count."""

    ids: Tensor  # (O, 1, I) int64 in [0, K); 0 where ignored
    ignored: Tensor | None  # (O, 1, I) bool
    counted: int  # how many are not ignored


def read_labels(
    layer: Layer, bottom: Sequence[Blob], shape: tuple[int, int, int], ignore: int | None
) -> Labels:
    """The labels in bottom 1, cut to integers (toward zero as a C++ cast does).

    Args:
        shape: (O, K, I); bottom 1 holds O*I labels.
        ignore: the label that does not count, if there is one.

    Raises:
        LayerError: a label is neither a class, 0 to K-1, nor `ignore`.
    """
    outer, classes, inner = shape
    raw = bottom[1].value_as((outer, 1, inner))
    counted = outer * inner
    if not counted or (
        ignore is None and counted <= _FEW and raw.is_cpu and _all_classes(bottom[1], classes)
    ):
        return Labels(raw.long(), None, counted)
    ids, ignored = _whole(raw, ignore)
    seen, skipped = (ids, ignored) if raw.is_cpu else _seen(bottom[1], raw, ignore)
    low, high, *left_out = _numbers(*seen.aminmax(), *(() if skipped is None else (skipped.sum(),)))
    if low < 0 or high >= classes:
        _refuse_label(layer, bottom, (ids < 0) | (ids >= classes), classes, ignore)
    return Labels(ids, ignored, counted - sum(left_out))


class KeptLabels:
    """Labels of bottom 1, none of them ignored, read again and again into the same memory.

    Args:
        shape: (O, K, I); bottom 1 holds O*I labels.
    """

    def __init__(self, layer: Layer, bottom: Sequence[Blob], shape: tuple[int, int, int]) -> None:
        outer, classes, inner = self._shape = shape
        self._layer, self._bottom = layer, bottom
        self._raw = bottom[1].value_as((outer * inner,)).numpy()
        self.labels = Labels(torch.zeros((outer, 1, inner), dtype=torch.int64), None, outer * inner)
        self._ids = self.labels.ids.numpy().reshape(-1)
        self._first = score_places(np.zeros(outer * inner, np.int64), shape)
        #: (O*I), see `score_places`
        self.places = self._first.copy()

    def read(self) -> None:
        """Read the labels.

        Raises:
            LayerError: a label is no class.
        """
        _, classes, inner = self._shape
        if not (np.minimum.reduce(self._raw) > -1 and np.maximum.reduce(self._raw) < classes):  # NaN neither
            read_labels(self._layer, self._bottom, self._shape, None)
        np.copyto(self._ids, self._raw, "unsafe")
        if inner == 1:
            np.add(self._ids, self._first, self.places)
        else:
            np.add(np.multiply(self._ids, inner, self.places), self._first, self.places)


def score_places(ids: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """(O*I) where among O*K*I scores those of the labels `ids`, O*I of them, are."""
    outer, classes, inner = shape
    first = np.arange(outer)[:, None] * (classes * inner) + np.arange(inner)
    places: np.ndarray = ids.reshape(-1) * inner + first.reshape(-1)
    return places


def _whole(raw: Tensor, ignore: int | None) -> tuple[Tensor, Tensor | None]:
    """Labels cut to integers, 0 for those that are ignored, and which these are."""
    ids = raw.long()
    if ignore is None:
        return ids, None
    ignored = ids == ignore
    return ids.masked_fill_(ignored, 0), ignored


def _seen(labels: Blob, raw: Tensor, ignore: int | None) -> tuple[Tensor, Tensor | None]:
    """The same of labels that are on a device, where the host can look at them: there, if it has them."""
    at_hand = labels.data_memory.at_hand()
    return _whole(raw if at_hand is None else at_hand[: labels.count], ignore)


def _all_classes(labels: Blob, classes: int) -> bool:
    """Whether each label is one once it is cut to an integer: for few of them quicker in Python."""
    return all(-1 < label < classes for label in labels.value_as((labels.count,)).tolist())


def _numbers(*tensors: Tensor) -> list[int]:
    # One transfer from a device; on the host stacking is what takes time.
    return [int(tensor) for tensor in tensors] if tensors[0].is_cpu else torch.stack(tensors).tolist()


def _refuse_label(
    layer: Layer, bottom: Sequence[Blob], bad: Tensor, classes: int, ignore: int | None
) -> None:
    first = int(bad.reshape(-1).int().argmax())
    value = float(bottom[1].value.reshape(-1)[first])
    place = tuple(int(i) for i in np.unravel_index(first, bottom[1].dims)) if bottom[1].dims else ()
    mend = (
        f"ignore_label is {ignore}"
        if ignore is not None
        else "if it marks what is not to count, set ignore_label to it"
    )
    layer.fail(
        f"label {value:g} at {place} of {shown(layer, bottom, 1)} is not a class: valid labels are 0 to "
        f"{classes - 1} ({int(bad.sum())} such label(s); {mend})"
    )
