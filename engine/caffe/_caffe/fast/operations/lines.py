"""Dense convolutions by short convolutions along one axis: half of the products, for twice the weights."""

from __future__ import annotations

import os

import numpy as np
import torch

from ...layers.convolution import Convolution
from ...machine import dense
from ...machine.simd import LANES
from ...machine.transforms.circle import line
from ...machine.unrolled import COLUMNS, FEW, ROWS
from ...machine.workers import Jobs, shared, workers
from ..convolution import READ, Window, rounded
from ..parameters import Packed
from ..planes import Plane, PlaneLayout

GAIN = 1.1  # how much longer a product takes with the weights as they lie in a blob
ROOM = 8  # how many times as much memory as the transformed weights need the machine has at least
BLOCK = 512  # output channels of a piece of work
BAND = 256  # and rows: so many stay in a core's cache with a part of their depth


class Lines:
    """The products of a convolution of stride 1 and of one group, in a net that is not trained.

    The way depends on the layer and whether it is taken on the size of the maps, never on what was computed
    before: the same image has the same scores in every process.
    """

    def __init__(self, layer: Convolution, window: Window) -> None:
        self._layer, self._window = layer, window
        self._axis = 0 if window.kernel[0] > 1 else 1  # rows or columns
        taps = window.kernel[self._axis]
        self._line = line(max(2, taps - 1), taps)
        self._packed: Packed[torch.Tensor] = Packed(layer.blobs[:1])

    @staticmethod
    def suits_layer(layer: Convolution, window: Window) -> bool:
        """Whether a layer can be computed so, on a machine with memory enough."""
        outputs, channels = layer.blobs[0].dims[:2]
        plain = window.stride == window.dilation == (1, 1)
        return (
            plain
            and outputs % COLUMNS == 0
            and channels % LANES == 0
            and _memory() > 2 * ROOM * 4 * layer.blobs[0].count
        )

    def gains(self, source: PlaneLayout, places: tuple[int, int]) -> bool:
        """Whether it is worth it for maps of this layout."""
        rows = rounded(source.batch * self._lines(places) * places[1 - self._axis], FEW)
        pixels = rounded(source.batch * places[0] * places[1], COLUMNS)
        cost = self._line.products / self._line.taps * (rows + READ)
        return cost < GAIN * (pixels + READ)

    def _lines(self, places: tuple[int, int]) -> int:
        """How many lines the outputs of an image take."""
        return -(-places[self._axis] // self._line.outputs)

    def compute(self, source: Plane, places: tuple[int, int]) -> torch.Tensor:
        """What is made before the bias, (N * H * W, O), for `places` rows and columns of outputs."""
        axis, by = self._axis, self._line
        x = self._transformed(source, places)
        products, lines, across, depth = x.shape
        outputs = self._layer.blobs[0].dims[0]
        block = next(size for size in range(BLOCK, 0, -COLUMNS) if outputs % size == 0)
        rows = rounded(lines * across, FEW)
        left = torch.empty(products, rows, depth)
        left[:, : lines * across].view(x.shape).copy_(x)
        bands = -(-rows // BAND)
        blocks = outputs // block
        made, weights = torch.empty(products, blocks, rows, block), self._packed.get(self._pack)
        addresses = left.data_ptr(), weights.data_ptr(), made.data_ptr()
        work = dense.Lines(*addresses, rows, rounded(-(-rows // bands), ROWS), bands, depth, block, blocks)
        workers.do(Jobs([shared(dense.multiply_lines, work, products * blocks * bands, depth * block)]))
        found: torch.Tensor = torch.from_numpy(by.back).float() @ made.view(products, -1)
        found = found.view(by.outputs, blocks, rows, block)[:, :, : lines * across]
        batch = source.layout.batch
        found = found.view(by.outputs, blocks, batch, lines // batch, across, block)
        # images, lines, outputs of a line; then the other axis; then channels
        found = found.permute(2, 3, 0, 4, 1, 5).reshape(batch, -1, across, outputs)[:, : places[axis]]
        return (found if axis == 0 else found.transpose(1, 2)).reshape(-1, outputs)

    def _transformed(self, source: Plane, places: tuple[int, int]) -> torch.Tensor:
        """(products, N * lines, outputs of the other axis, its taps * channels)"""
        axis, by = self._axis, self._line
        stored = source.view()
        reads = by.outputs + by.taps - 1
        starts = np.arange(self._lines(places)) * by.outputs
        along = self._stored(source.layout, axis, (starts[:, None] + np.arange(reads)).ravel())
        taps, across = self._window.kernel[1 - axis], places[1 - axis]
        beside = self._stored(source.layout, 1 - axis, np.arange(across + taps - 1))
        picked = stored.index_select(1 + axis, along).index_select(2 - axis, beside)
        if axis == 1:
            picked = picked.transpose(1, 2)
        batch, _, wide, lanes = picked.shape
        picked = picked.reshape(batch * len(starts), reads, wide * lanes)
        made = torch.einsum("pn,lnk->plk", torch.from_numpy(by.into).float(), picked).contiguous()
        shape = (by.products, batch * len(starts), across, taps * lanes)
        lines = batch * len(starts) * wide * lanes
        return made.as_strided(shape, (lines, wide * lanes, lanes, 1))

    def _stored(self, layout: PlaneLayout, axis: int, wanted: np.ndarray) -> torch.Tensor:
        """Which stored rows (axis 0) or columns (1) are those of the padded map; outside are zeros."""
        rows = np.asarray((layout.rows, layout.columns)[axis])
        places = wanted - self._window.pad[axis]
        inside = (places >= 0) & (places < len(rows))
        return torch.from_numpy(np.where(inside, 1 + rows[np.where(inside, places, 0)], 0))

    def _pack(self, kept: torch.Tensor | None) -> torch.Tensor:
        axis, by = self._axis, self._line
        weight = self._layer.blobs[0].value.contiguous()
        outputs, channels, *kernel = weight.shape
        panels, depth = outputs // COLUMNS, kernel[1 - axis] * channels
        packed = torch.empty(by.products, panels, depth, COLUMNS) if kept is None else kept
        rows = torch.from_numpy(by.kernel).float()
        for panel, part in enumerate(torch.split(weight, COLUMNS)):
            # taps of the axis, by those of the other one, channels and outputs
            taps = part.permute(2 + axis, 3 - axis, 1, 0).contiguous().flatten(1)
            packed[:, panel] = (rows @ taps).view(by.products, depth, COLUMNS)
        return packed


def _memory() -> int:
    """Bytes of main memory that the machine has; more than any net needs where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return 2**62
