"""Layers whose data come from the program itself: Input, DummyData, MemoryData."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

import numpy as np

from ...proto.caffe_pb2 import FillerParameter
from ..blob import Blob
from ..filler import fill, redraw, redraws
from ..layer import Arity, Call, Layer
from ..log import log
from ..registry import register


@register("Input")
class Input(Layer):
    """Caffe's Input: tops that the user fills. Without `shape` they wait for the user's reshape.

    Raises:
        LayerError: `shape` is given neither once nor once per top.
    """

    is_input = True
    reads = ("input_param",)
    tops = Arity(1, None)
    bottoms = Arity(0)

    def setup(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        shapes = self.layer_param.input_param.shape
        self.check(
            len(shapes) in (0, 1, len(top)),
            "Must specify 'shape' once, once per top blob, or not at all: "
            f"{len(top)} tops, {len(shapes)} shapes",
        )
        for i, blob in enumerate(top if shapes else ()):
            blob.resize(shapes[i if len(shapes) > 1 else 0].dim)

    def forward_calls(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> Sequence[Call]:
        return []


@register("DummyData")
class DummyData(Layer):
    """Caffe's DummyData: tops of given shapes filled by fillers (constant 0 if none).

    Constant tops are filled once, when the net is built; the user may overwrite them. The others are
    filled anew at every forward. A top the user reshapes keeps its new shape.

    Raises:
        LayerError: shapes or fillers are given neither once nor once per top; what the fillers raise.
    """

    reads = ("dummy_data_param",)
    tops = Arity(1, None)
    bottoms = Arity(0)

    def setup(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        fillers = list(self.layer_param.dummy_data_param.data_filler)
        self.check(
            len(fillers) in (0, 1, len(top)),
            f"Number of data fillers must be 0, 1 or equal to the number of tops: {len(top)}; you specified "
            f"{len(fillers)} data fillers",
        )
        self._fillers = fillers * len(top) if len(fillers) == 1 else fillers or [FillerParameter()] * len(top)
        for blob, dims in zip(top, self._shapes(len(top))):
            blob.resize(dims)
        # All of them: a filler that cannot work is found now, not at the first forward.
        self._fill(top, range(len(top)))
        self._drawn = [i for i, filler in enumerate(self._fillers) if filler.type != "constant"]
        self.draws_random = bool(self._drawn)

    def _shapes(self, tops: int) -> list[tuple[int, ...]]:
        param = self.layer_param.dummy_data_param
        legacy = {name: list(getattr(param, name)) for name in ("num", "channels", "height", "width")}
        if not any(legacy.values()):
            shapes = [tuple(shape.dim) for shape in param.shape]
            self.check(
                len(shapes) in (1, tops),
                f"Must specify 'shape' once, or once per top blob ({tops}): {len(shapes)}",
            )
            return shapes * tops if len(shapes) == 1 else shapes
        self.check(not param.shape, "Both shape and legacy fields were specified: keep shape")
        for name, dims in legacy.items():
            self.check(
                len(dims) in (1, tops),
                f"Must specify '{name}' once, or once per top blob ({tops}): {len(dims)}",
            )
        columns = [dims * tops if len(dims) == 1 else dims for dims in legacy.values()]
        return list(zip(*columns))

    def _fill(self, top: Sequence[Blob], which: Iterable[int]) -> None:
        for i in which:
            fill(top[i], self._fillers[i], f"layer '{self.layer_param.name}' ({self.type}), top {i}")

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        self._fill(top, self._drawn)

    def forward_calls(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> Sequence[Call] | None:
        if not all(redraws(self._fillers[i]) for i in self._drawn):
            return None
        return [partial(redraw, top[i].value, self._fillers[i]) for i in self._drawn]


@register("MemoryData")
class MemoryData(Layer):
    """Caffe's MemoryData: batches from arrays that `set_arrays` names, in order, starting over at the end.

    Top 0 is (batch_size, channels, height, width); top 1 the labels, (batch_size) when the net is built
    and (batch_size, 1, 1, 1) from the first forward on.

    Raises:
        LayerError: a size is missing, or there are no arrays at forward.
    """

    brings_data = True
    reads = ("memory_data_param", "transform_param")
    bottoms = Arity(0)
    tops = Arity(2)

    _data: np.ndarray | None = None
    _labels: np.ndarray
    _position = 0

    def setup(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        param = self.layer_param.memory_data_param
        self._dims = (param.batch_size, param.channels, param.height, param.width)
        self.check(
            all(self._dims),
            "batch_size, channels, height, and width must be specified and positive in memory_data_param: "
            f"{self._dims}",
        )
        top[0].resize(self._dims)
        top[1].resize(self._dims[:1])

    def set_arrays(self, data: np.ndarray, labels: np.ndarray) -> None:
        """Take batches from these arrays from now on; they are kept and read, not copied.

        Args:
            data: (N, C, H, W) float32, C-contiguous, N a multiple of the batch size.
            labels: (N,) or (N, 1, 1, 1) float32, C-contiguous.

        Raises:
            TypeError: not arrays.
            LayerError: they do not fit the layer.
        """
        for name, array in (("data", data), ("labels", labels)):
            if not isinstance(array, np.ndarray):
                raise TypeError(f"{name} must be a NumPy array, not {type(array).__name__}")
            self.check(
                array.flags.c_contiguous, f"{name} array must be C contiguous: use np.ascontiguousarray"
            )
            self.check(array.dtype == np.float32, f"{name} array must be float32, not {array.dtype}")
        given = f"data {data.shape}, labels {labels.shape}"
        shapes = f"{given}; the layer takes {self._dims} at a time"
        self.check(data.ndim == 4, f"data array must be 4-d: {shapes}")
        for axis, name in enumerate(("channels", "height", "width"), 1):
            self.check(
                data.shape[axis] == self._dims[axis],
                f"data array has wrong {'number of channels' if axis == 1 else name}: {shapes}",
            )
        self.check(
            labels.shape in ((len(labels),), (len(labels), 1, 1, 1)),
            f"labels must be (N) or (N, 1, 1, 1): {shapes}",
        )
        self.check(len(data) == len(labels), f"data and labels must have the same first dimension: {shapes}")
        self.check(
            len(data) > 0 and len(data) % self._dims[0] == 0,
            f"first dimensions of input arrays must be a multiple of batch size: {shapes}",
        )
        if self.layer_param.HasField("transform_param"):
            log.warning("MemoryData '%s' does not transform array data", self.layer_param.name)
        self._data, self._labels, self._position = data, labels, 0

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        if self._data is None:
            self.fail("needs data before its forward: call net.set_input_arrays(data, labels)")
        batch = slice(self._position, self._position + self._dims[0])
        top[0].resize(self._dims)
        top[1].resize((self._dims[0], 1, 1, 1))
        for blob, array in zip(top, (self._data, self._labels)):
            # The batch is copied: what is written into the blob stays out of the user's array.
            blob.data[...] = array[batch].reshape(blob.dims)
        self._position = batch.stop % len(self._data)
