"""The operation of Convolution layers that have more weights than their pixels are worth: inner products."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import torch

from ... import device
from ...layer import Layer
from ...layers.activation import ReLU
from ...layers.convolution import Convolution
from ...machine import dense
from ...machine.simd import LANES
from ...machine.unrolled import COLUMNS, FEW, ROWS
from ...machine.workers import Jobs, shared, workers
from ..convolution import rounded
from ..operation import Chain, Kept, Operation, Room
from ..planes import Plane, PlaneLayout
from .convolve import address, pixel_tables, window_of
from .lines import Lines

BLOCK = 16 * ROWS  # outputs that share a panel of pixels
Reads: TypeAlias = "tuple[np.ndarray, np.ndarray]"  #: offsets of the rows and columns under the taps


class Dense(Operation):
    """A Convolution of one group, and maybe a ReLU, with the weights as they lie in memory.

    Bringing them into another order takes as much memory again, and after a change more time than their use.

    Args:
        chain: Convolution, then layers of which ReLU alone does something.
        epilogue: these.
    """

    #: Whether weights may be kept in another form too, where that gains.
    by_lines = True

    def __init__(self, chain: Chain, epilogue: Sequence[Layer]) -> None:
        super().__init__(chain)
        layer = chain.layers[0]
        assert isinstance(layer, Convolution)
        self._layer, self._window = layer, window_of(layer)
        #: of the ReLU, if there is one
        self._slope = next((np.float32(each.slope) for each in epilogue if isinstance(each, ReLU)), None)
        self._tables: Kept[tuple[PlaneLayout, tuple[int, ...]], tuple[PlaneLayout, Reads]] = Kept()
        self._x, self._turned, self._made = Room(), Room(), Room()
        lines = self.by_lines and Lines.suits_layer(layer, self._window)
        self._lines = Lines(layer, self._window) if lines else None

    @staticmethod
    def suits_layer(layer: Convolution, pixels: int) -> bool:
        """Whether a layer has more weights than its pixels are worth, and enough for whole products."""
        weight = layer.blobs[0]
        taps = weight.count // weight.dims[0]
        return weight.count > 2048 * pixels and taps % COLUMNS == 0 and weight.dims[0] % FEW == 0

    def lay_out(self, layouts: Sequence[PlaneLayout]) -> None:
        target, (down, right) = self._tables_of(layouts[0])
        self.plane.lay_out(target)
        pixels, weight = len(down) * len(right), self._layer.blobs[0]
        outputs = weight.dims[0]
        block = min(BLOCK, rounded(-(-outputs // torch.get_num_threads()), ROWS))
        self._now = dense.Dense(pixels, rounded(pixels, COLUMNS), weight.count // outputs, outputs, block)

    def _tables_of(self, source: PlaneLayout) -> tuple[PlaneLayout, Reads]:
        return self._tables.get((source, self.chain.made(0)[2:]), self._make_tables)

    def _make_tables(self, key: tuple[PlaneLayout, tuple[int, ...]]) -> tuple[PlaneLayout, Reads]:
        source, places = key
        same, (rows, columns, *_) = pixel_tables(source, places, self._window, outside=-1, compact=False)
        outputs = self._layer.layer_param.convolution_param.num_output
        lanes = rounded(outputs, LANES)
        return PlaneLayout(same.batch, outputs, same.rows, same.columns, lanes), (rows, columns)

    def compute(self, planes: Sequence[Plane]) -> None:
        result = self._products(planes[0])
        if len(self._layer.blobs) > 1:
            result += self._layer.blobs[1].value
        if self._slope is not None:
            torch.nn.functional.leaky_relu_(result, self._slope)
        self._inner(self.plane).copy_(result.reshape(self._inner(self.plane).shape))

    def _products(self, source: Plane) -> torch.Tensor:
        """What the layer makes before its bias, (pixels, outputs)."""
        places = (len(self.plane.layout.rows), len(self.plane.layout.columns))
        if self._lines and not device.memory_saving() and self._lines.gains(source.layout, places):
            return self._lines.compute(source, places)
        now = self._now
        turned = self._gather(source, self._x.get(0).view(0, now.taps))
        made = self._made.get((now.outputs + 1) * now.wide)  # whose last row backward's products read into
        weight = self._layer.blobs[0].value.data_ptr()
        work = now._replace(left=weight, right=turned.data_ptr(), target=made.data_ptr())
        blocks, copies = -(-now.outputs // now.block), 4 * now.block * dense.DEPTH
        workers.do(Jobs([shared(dense.multiply, work, blocks, now.block * now.taps, copies)]))
        return made[: now.outputs * now.wide].view(now.outputs, now.wide)[:, : now.pixels].T

    def _gather(self, source: Plane, x: torch.Tensor) -> torch.Tensor:
        """What lies under the taps in panels of pixels; also in `x`, (pixels, taps), if that has rows."""
        now = self._now
        turned = self._turned.get(now.taps * now.wide).view(-1, now.taps, COLUMNS)
        taps = self._taps(source, x)._replace(panels=turned.data_ptr())
        channels = source.layout.channels
        workers.do(Jobs([shared(dense.gather, taps, channels, 1, 8 * now.pixels)]))
        return turned

    def _taps(self, plane: Plane, x: torch.Tensor) -> dense.Taps:
        """What lies under the taps in a plane, and in `x`, (pixels, taps), if that has rows."""
        now, (down, right) = self._now, self._reads(plane.layout)
        return dense.Taps(
            plane=plane.address,
            rows=address(down),
            columns=address(right),
            high=down.shape[1],
            wide=right.shape[1],
            across=len(right),
            pixels=now.pixels,
            taps=now.taps,
            x=x.data_ptr() if len(x) else 0,
        )

    def _reads(self, source: PlaneLayout) -> Reads:
        """Offsets of the rows and of the columns under the taps, in a map of this layout; -1 is outside."""
        return self._tables_of(source)[1]

    def _inner(self, plane: Plane) -> torch.Tensor:
        """(N, H, W, O): the pixels of a plane laid out as the top."""
        return plane.view()[:, 1:, 1:, : self._now.outputs]
