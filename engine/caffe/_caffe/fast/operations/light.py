"""The operations of layers that compute little for what they read: Pooling, Eltwise, LRN, Concat, ReLU."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ....proto.caffe_pb2 import PoolingParameter
from ...layer import Layer
from ...layers.arithmetic import Eltwise
from ...layers.normalization import LRN
from ...layers.pooling import Pooling, PoolWindow
from ...machine import pixels
from ...machine.simd import LANES, bits
from ...machine.workers import Job, shared
from ..convolution import Window, rounded
from ..operation import Chain, Kept, Operation
from ..parameters import Epilogue
from ..planes import Plane, PlaneLayout
from .convolve import Offsets, address, pixel_tables

FEW_NUMBERS = 1 << 14


class Pool(Operation):
    """A Pooling, MAX or AVE."""

    light = True

    def __init__(self, chain: Chain) -> None:
        super().__init__(chain)
        layer = chain.layers[0]
        assert isinstance(layer, Pooling)
        self._layer = layer
        self._average = layer.layer_param.pooling_param.pool == PoolingParameter.AVE
        self._tables: Kept[tuple[PlaneLayout, PoolWindow], tuple[PlaneLayout, Offsets]] = Kept()
        self._now: tuple[PlaneLayout, Offsets]

    def lay_out(self, layouts: Sequence[PlaneLayout]) -> None:
        self._now = self._tables.get((layouts[0], self._layer.window), self._make_tables)
        self.plane.lay_out(self._now[0])

    def _make_tables(self, key: tuple[PlaneLayout, PoolWindow]) -> tuple[PlaneLayout, Offsets]:
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

    def jobs(self, planes: Sequence[Plane]) -> list[Job]:
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
        window = work.high * work.wide
        return [shared(pixels.pool, work, len(rows) * len(columns), window * target.lanes // 4, 8 * window)]


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
        layer = chain.layers[0]
        assert isinstance(layer, Eltwise)
        self._coeffs, self._slope = layer.coeffs, slope

    def jobs(self, planes: Sequence[Plane]) -> list[Job]:
        target, last, layout = self.plane.address, len(planes) - 1, self.plane.layout
        first, by, jobs = planes[0].address, self._coeffs[0], []
        for number in range(1, len(planes)):
            work = pixels.Mixture(
                a=first,
                by_a=bits(by),
                b=planes[number].address,
                by_b=bits(self._coeffs[number]),
                target=target,
                slope=bits(self._slope if number == last else 1),
                lanes=layout.lanes,
            )
            jobs.append(shared(pixels.mix, work, layout.count // layout.lanes, layout.lanes))
            first, by = target, 1.0
        return jobs


class Adjust(_Alike):
    """BatchNorm, Scale and ReLU where no convolution is before them."""

    def __init__(self, chain: Chain, layers: Sequence[Layer], channels: int) -> None:
        super().__init__(chain)
        self._epilogue = Epilogue(channels, None, layers, rounded(channels, LANES))

    def jobs(self, planes: Sequence[Plane]) -> list[Job]:
        numbers, layout = self._epilogue.get(), self.plane.layout
        work = pixels.Adjustment(
            source=planes[0].address,
            target=self.plane.address,
            lanes=layout.lanes,
            scale=numbers[0].data_ptr(),
            shift=numbers[1].data_ptr(),
            slope=bits(self._epilogue.slope),
            wide=layout.stored[2],
            high=layout.stored[1],
            margin=layout.margin,
        )
        return [shared(pixels.adjust, work, layout.count // layout.lanes, layout.lanes)]


class Probabilities(_Alike):
    """A Softmax over channels, of few numbers: for many PyTorch takes less time."""

    @property
    def made(self) -> tuple[int, ...]:
        return (*self.chain.made(-1), 1, 1)[:4]

    def suits(self, layouts: Sequence[PlaneLayout]) -> bool:
        return layouts[0].count <= FEW_NUMBERS

    def lay_out(self, layouts: Sequence[PlaneLayout]) -> None:
        super().lay_out(layouts)
        self.plane.clear()

    def jobs(self, planes: Sequence[Plane]) -> list[Job]:
        layout = self.plane.layout
        work = pixels.Softmax(
            source=planes[0].address,
            target=self.plane.address,
            lanes=layout.lanes,
            channels=layout.channels,
            wide=layout.stored[2],
            high=layout.stored[1],
            margin=layout.margin,
        )
        return [shared(pixels.softmax, work, layout.count // layout.lanes, 16 * layout.lanes)]


class Normalize(_Alike):
    """An LRN across channels with the usual beta of 0.75."""

    def jobs(self, planes: Sequence[Plane]) -> list[Job]:
        layer = self.chain.layers[0]
        assert isinstance(layer, LRN)
        layout = self.plane.layout
        work = pixels.Normalization(
            source=planes[0].address,
            target=self.plane.address,
            lanes=layout.lanes,
            channels=layout.channels,
            half=layer.size // 2,
            weight=bits(layer.weight),
            k=bits(layer.k),
        )
        room = 4 * (layout.lanes + 2 * work.half)
        return [shared(pixels.normalize, work, layout.count // layout.lanes, 8 * layout.lanes, room)]


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

    def jobs(self, planes: Sequence[Plane]) -> list[Job]:
        layout, target, jobs = self.plane.layout, self.plane.address, []
        for plane in planes:
            lanes = plane.layout.lanes
            if not plane.part_of(self.plane):
                work = pixels.Copy(plane.address, lanes, target, layout.lanes)
                jobs.append(shared(pixels.copy, work, layout.count // layout.lanes, lanes))
            target += 4 * lanes
        return jobs

    def take_in(self, makers: Sequence[Operation], channels: Sequence[int]) -> None:
        """Have the bottoms made where the top lies.

        Args:
            makers: of the bottoms, which nothing else reads.
            channels: of each.
        """
        for number, maker in enumerate(makers):
            maker.plane.live_in(self.plane, sum(channels[:number]), sum(channels))
            maker.compact = False  # as the others, so that all rows and columns are the same
