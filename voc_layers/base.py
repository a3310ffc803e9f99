"""What the data layers share: checked settings, order, prefetch, and state for an exact resume.

The layers use `caffe.Layer` alone, so they run on any Caffe that has Python layers.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

import numpy as np

import caffe

from .augment import KEYS, Augmentation, batched, stream
from .cache import Cache, Sample
from .facts import VOID
from .folder import Folder
from .order import Order, ReadAhead, is_random, share
from .reading import SampleError


class TopBlob(Protocol):
    """What a data layer needs of a top."""

    @property
    def data(self) -> np.ndarray: ...

    def reshape(self, *shape: int) -> None: ...


class Tops(Protocol):
    """A layer's blobs as pycaffe hands them over: they have a length and an index, and cannot be iterated."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> TopBlob: ...


def parse_params(text: str, layer: str, required: set[str], optional: set[str]) -> dict[str, Any]:
    """A layer's `param_str`, a Python dict literal, as a dict; SampleError for other text or other keys."""
    try:
        params = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError) as error:
        raise SampleError(f"{layer}: param_str is not a Python dict literal: {text[:1000]!r}") from error
    if not isinstance(params, dict):
        raise SampleError(f"{layer}: param_str must be a dict, found {text!r}")
    missing, unknown = sorted(required - params.keys()), sorted(map(str, params.keys() - required - optional))
    for verb, keys in (("lacks", missing), ("has unknown", unknown)):
        if keys:
            raise SampleError(
                f"{layer}: param_str {verb} {', '.join(keys)}; it takes "
                f"{', '.join(sorted(required))} and optionally {', '.join(sorted(optional))}"
            )
    return params


class OrderedLayer(caffe.Layer):
    """A data layer, by default with the tops data and label, that reads one batch for each forward pass.

    Subclasses say which keys `param_str` has, what `prepare` makes of them (it returns the number of items
    and the batch size), how `read` decodes an item, and which arrays, of the tops' shapes, `collate` makes of
    the items of a batch. Both run in a thread, ahead of the net.

    param_str, for all: `mean` (B, G, R), `randomize` and `seed` of the order; `prefetch` (batches read
    ahead, default 2); `cache` (MiB of decoded items that are kept in memory, default 0: what is read does not
    depend on it); `start` (default 0: how many batches of the order have been read before; with it a training
    goes on from a snapshot with the next image, whatever Caffe it runs on).

    Where several solvers train together (`caffe.set_solver_count`), a layer of phase TRAIN reads its `Share`
    of the one order that its seed gives; `start` counts batches of the whole order.
    """

    required: frozenset[str] = frozenset({"mean"})
    optional: frozenset[str] = frozenset({"randomize", "seed", "prefetch", "cache", "start"})

    def top_names(self, params: dict[str, Any]) -> tuple[str, ...]:
        """What the tops are, in their order."""
        return "data", "label"

    def prepare(self, params: dict[str, Any]) -> tuple[int, int]:
        raise TypeError(f"{type(self).__name__} does not say what its param_str means")

    def read(self, index: int) -> Sample:
        raise TypeError(f"{type(self).__name__} does not say how an item is read")

    def collate(self, items: list[Sample]) -> Sample:
        raise TypeError(f"{type(self).__name__} does not say what its tops are made of")

    def load(self, indices: list[int], numbers: Sequence[int]) -> Sample:
        """The arrays of the tops for a batch of these items, draws `numbers` of the order."""
        items = [self.cache.get(i, self.read) for i in indices]
        return self.collate([self.change(item, number) for item, number in zip(items, numbers)])

    def change(self, item: Sample, number: int) -> Sample:
        """The item as the net shall see it this time, in draw `number`."""
        return item

    def setup(self, bottom: Tops, top: Tops) -> None:
        name = type(self).__name__
        params = parse_params(self.param_str, name, set(self.required), set(self.optional))
        tops = self.top_names(params)
        if len(bottom) != 0 or len(top) != len(tops):
            raise SampleError(
                f"{name}: expected no bottom and {len(tops)} tops ({', '.join(tops)}), found {len(bottom)} "
                f"bottoms and {len(top)} tops"
            )
        if "mean" in params:
            try:
                self.mean = np.array(params["mean"], np.float64)
            except (TypeError, ValueError, OverflowError):
                self.mean = np.empty(0)
            if self.mean.shape != (3,) or not np.isfinite(self.mean).all():
                raise SampleError(f"{name}: mean must be three numbers (B, G, R), found {params['mean']!r}")
        count, batch = self.prepare(params)
        order = Order(count, self.draws(params), params.get("seed"))
        order.skip(batch * self._whole(params, "start", 0, "how many batches were read before", 1 << 40))
        self.cache = Cache(self._whole(params, "cache", 0, "MiB of memory for decoded images", 1 << 24) << 20)
        ahead = self._whole(params, "prefetch", 2, "how many batches are read ahead", 1000)
        training = getattr(self, "phase", caffe.TEST) == caffe.TRAIN
        self.samples = ReadAhead(self.load, order, batch, ahead, share() if training else None)

    def _whole(
        self, params: dict[str, Any], key: str, default: int, meaning: str, most: int, least: int = 0
    ) -> int:
        value = params.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise SampleError(
                f"{type(self).__name__}: {key} must be {meaning}, a whole number from {least} to {most}, "
                f"found {value!r}"
            )
        return value

    def draws(self, params: dict[str, Any]) -> bool:
        """Whether the order is random."""
        return bool(params.get("randomize", True))

    def reshape(self, bottom: Tops, top: Tops) -> None:
        for i, array in enumerate(self.samples.current()):
            top[i].reshape(*array.shape)

    def forward(self, bottom: Tops, top: Tops) -> None:
        for i, array in enumerate(self.samples.current()):
            top[i].data[...] = array
        self.samples.advance()

    def backward(self, top: Tops, propagate_down: Sequence[bool], bottom: Tops) -> None:
        """Data have no gradient."""

    def snapshot_state(self) -> dict[str, Any]:
        """Where the layer stands, as plain data: what the next forward pass reads, and the generator."""
        return self.samples.state()

    def restore_state(self, state: dict[str, Any]) -> None:
        """Stand where `snapshot_state` was taken; ValueError where the list or its order is another one."""
        self.samples.restore(state)


class SegDataLayer(OrderedLayer):
    """Images and label maps of a folder, one at a time, at their own sizes, unless it is told otherwise.

    Tops: data 1 x 3 x H x W (BGR, mean subtracted) and label 1 x 1 x H x W (class indices, 255 = void).
    param_str: the folder, `split`, `mean` (B, G, R); `randomize` (default True, but only a split with "train"
    in its name is ever random) and `seed`. Beyond the reference release: `classes` (how many; labels are
    checked against it), `void` (the label files' value for void, default 255), `scale`, `crop` and `mirror`
    (see `Augmentation`; none by default, and what is drawn follows from the seed and changes no order),
    `batch` (default 1; smaller images are filled up to the largest, see `batched`), and `prefetch`, `cache`
    and `start` of every `OrderedLayer`. The layer knows what its `param_str` says and nothing else: it does
    not look for a classes.txt.
    """

    layout: ClassVar[type[Folder]]
    required = frozenset({"split", "mean"})
    optional = OrderedLayer.optional | KEYS | {"classes", "void", "batch"}

    def prepare(self, params: dict[str, Any]) -> tuple[int, int]:
        count = params.get("classes", 0)
        if not isinstance(count, int) or not 0 <= count <= VOID:
            raise SampleError(f"{type(self).__name__}: classes must be how many there are, found {count!r}")
        self.split = str(params["split"])
        try:
            self.folder = self.layout.of(params, tuple(map(str, range(count))))
        except (TypeError, OverflowError) as error:
            raise SampleError(
                f"{type(self).__name__}: param_str has a value of the wrong kind: {error}"
            ) from error
        self.indices = self.folder.ids(self.split)
        self.augmentation, self.seed = Augmentation.of(params, type(self).__name__), params.get("seed")
        return len(self.indices), self._whole(params, "batch", 1, "how many images are in a batch", 10_000, 1)

    def draws(self, params: dict[str, Any]) -> bool:
        return is_random(self.split, params)

    def read(self, index: int) -> Sample:
        return self.folder.arrays(self.indices[index])

    def change(self, item: Sample, number: int) -> Sample:
        return self.augmentation.apply(item, stream(self.seed, number)) if self.augmentation else item

    def collate(self, items: list[Sample]) -> Sample:
        return batched([self.folder.blobs(item) for item in items], self.augmentation.crop)
