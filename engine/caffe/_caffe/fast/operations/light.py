"""The operations of layers that compute little for what they read: Pooling, Eltwise, LRN, Concat, ReLU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch

from ....proto.caffe_pb2 import PoolingParameter
from ...layer import Layer
from ...layers.arithmetic import Eltwise
from ...layers.normalization import LRN
from ...layers.pooling import Pooling, PoolWindow
from ...machine import pixels
from ...machine.simd import LANES
from ...machine.workers import in_pieces
from ..convolution import Window, rounded
from ..operation import Chain, Kept, Operation
from ..parameters import Epilogue
from ..planes import Plane, PlaneLayout
from .convolve import address, pixel_tables


class Pool(Operation):
    """A Pooling, MAX or AVE."""

    light = True
    #: Whether rows and columns that are equal by how they are made are made once.
    compact = True

    def __init__(self, chain: Chain) -> None:
        super().__init__(chain)
        layer = chain.layer(0)
        assert isinstance(layer, Pooling)
        self._layer = layer
        self._average = layer.layer_param.pooling_param.pool == PoolingParameter.AVE
        self._tables = Kept(self._make_tables)
        self._now: tuple[PlaneLayout, list[np.ndarray]]

    def lay_out(self, layouts: Sequence[PlaneLayout]) -> None:
        self._now = self._tables((layouts[0], self._layer.window))
        self.plane.lay_out(self._now[0])

    def _make_tables(self, key: tuple[PlaneLayout, PoolWindow]) -> tuple[PlaneLayout, list[np.ndarray]]:
        source, window = key
        shape = Window(window.kernel, window.stride, window.pad)
        target, tables = pixel_tables(source, window.places, shape, outside=-1, compact=self.compact)
        if self._average:
            sizes = [np.array(size, dtype=np.int64) for size in window.sizes()]
            tables += [np.tile(sizes[0], source.batch), sizes[1]]
        return target, tables

    def suits(self, layouts: Sequence[PlaneLayout]) -> bool:
        # Equal rows need not have equal sizes to divide by.
        return not self._average or (layouts[0].whole and min(map(min, self._layer.window.sizes())) > 0)

    def compute(self, planes: Sequence[Plane]) -> None:
        target, (rows, columns, target_rows, target_columns, *sizes) = self._now
        work = pixels.Pooling(
            source=planes[0].address,
            rows=address(rows),
            columns=address(columns),
            high=rows.shape[1],
            wide=columns.shape[1],
            across=len(columns),
            lanes=target.lanes,
            target=self.plane.address,
            target_rows=address(target_rows),
            target_columns=address(target_columns),
            row_sizes=address(sizes[0]) if sizes else 0,
            column_sizes=address(sizes[1]) if sizes else 0,
        )
        window = rows.shape[1] * columns.shape[1]
        in_pieces(
            len(rows) * len(columns),
            window * target.lanes,
            lambda first, count: pixels.pool(work, first, count),
        )


class _Alike(Operation):
    """An operation whose top has the layout of its bottoms."""

    light = True

    def suits(self, layouts: Sequence[PlaneLayout]) -> bool:
        return all(layout == layouts[0] for layout in layouts)

    def lay_out(self, layouts: Sequence[PlaneLayout]) -> None:
        self.plane.lay_out(layouts[0])


class Sum(_Alike):
    """An Eltwise SUM, and maybe a ReLU."""

    def __init__(self, chain: Chain, slope: float) -> None:
        super().__init__(chain)
        layer = chain.layer(0)
        assert isinstance(layer, Eltwise)
        self._coeffs = [np.float32(coeff) for coeff in layer.coeffs]
        self._slope = np.float32(slope)

    def compute(self, planes: Sequence[Plane]) -> None:
        target, last = self.plane.address, len(planes) - 1
        layout = self.plane.layout
        first, by = planes[0].address, self._coeffs[0]
        for number in range(1, len(planes)):
            other, factor = planes[number].address, self._coeffs[number]
            slope = self._slope if number == last else np.float32(1)
            mix = partial(pixels.mix, first, by, other, factor, target, slope)

            def run(start: int, count: int, mix: Callable[[int, int], None] = mix) -> None:
                mix(start * layout.lanes, count * layout.lanes)

            in_pieces(layout.count // layout.lanes, layout.lanes, run)
            first, by = target, np.float32(1)


class Adjust(_Alike):
    """BatchNorm, Scale and ReLU where no convolution is before them."""

    def __init__(self, chain: Chain, layers: Sequence[Layer], channels: int) -> None:
        super().__init__(chain)
        self._epilogue = Epilogue(channels, None, layers, rounded(channels, LANES))

    def compute(self, planes: Sequence[Plane]) -> None:
        numbers, slope = self._epilogue.get(), np.float32(self._epilogue.slope)
        layout = self.plane.layout
        scale, shift = numbers[0].data_ptr(), numbers[1].data_ptr()
        source, target = planes[0].address, self.plane.address
        in_pieces(
            layout.count // layout.lanes,
            layout.lanes,
            lambda first, count: pixels.adjust(
                source, target, layout.lanes, scale, shift, slope, first, count
            ),
        )
        self.plane.clear_outside()


class Normalize(_Alike):
    """An LRN across channels with the usual beta of 0.75."""

    def compute(self, planes: Sequence[Plane]) -> None:
        layer = self.chain.layer(0)
        assert isinstance(layer, LRN)
        weight, k = np.float32(layer.weight), np.float32(layer.k)
        layout, source, target = self.plane.layout, planes[0].address, self.plane.address
        half = layer.size // 2

        def run(first: int, count: int) -> None:
            pixels.normalize(source, target, layout.lanes, layout.channels, half, weight, k, first, count)

        in_pieces(layout.count // layout.lanes, 8 * layout.lanes, run)


class Join(Operation):
    """A Concat of channels."""

    light = True

    def suits(self, layouts: Sequence[PlaneLayout]) -> bool:
        first = layouts[0]
        filled = all(layout.channels == layout.lanes for layout in layouts)
        return filled and all((each.rows, each.columns) == (first.rows, first.columns) for each in layouts)

    def lay_out(self, layouts: Sequence[PlaneLayout]) -> None:
        first, channels = layouts[0], sum(layout.channels for layout in layouts)
        self.plane.lay_out(PlaneLayout(first.batch, channels, first.rows, first.columns, channels))

    def compute(self, planes: Sequence[Plane]) -> None:
        torch.cat([plane.view() for plane in planes], 3, out=self.plane.view())
