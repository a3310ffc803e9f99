"""The operations of Convolution layers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch

from ...layer import Layer
from ...layers.convolution import Convolution
from ...machine import pixels, products
from ...machine.simd import COLUMNS, LANES
from ...machine.toom import Short
from ...machine.workers import in_pieces, workers
from ..choice import chosen, fastest
from ..convolution import Axis, Form, Geometry, Window, algorithms, rounded, targets
from ..operation import Chain, Kept, Operation
from ..parameters import Epilogue, Packed, pack
from ..planes import Plane, PlaneLayout


def address(array: np.ndarray) -> int:
    """Of an array's first number."""
    return int(array.ctypes.data)


@cache
def cache_size() -> int:
    """Bytes of the cache that a core has for itself."""
    try:
        text = Path("/sys/devices/system/cpu/cpu0/cache/index2/size").read_text().strip()
        return int(text.rstrip("KM")) * (2**20 if text.endswith("M") else 2**10)
    except (OSError, ValueError):
        return 2**19


class Convolve(Operation):
    """A Convolution, what its epilogue takes in, and maybe the maximum of each 2 x 2 after it.

    Args:
        chain: Convolution, layers of the epilogue, maybe a Pooling.
        epilogue: the layers after the convolution that become its epilogue.
        pooled: whether the chain ends in a pooling.
    """

    takes_narrow = True
    #: Whether rows and columns that are equal by how they are made are made once.
    compact = True

    def __init__(self, chain: Chain, epilogue: Sequence[Layer], pooled: bool) -> None:
        super().__init__(chain)
        layer = chain.layer(0)
        assert isinstance(layer, Convolution)
        param = layer.layer_param.convolution_param
        self._layer, self._pooled = layer, pooled
        self._groups = param.group
        self._outputs = param.num_output // param.group
        self._window = window_of(layer)
        bias = layer.blobs[1] if param.bias_term else None
        self._epilogue = Epilogue(param.num_output, bias, epilogue, rounded(param.num_output, COLUMNS))
        self._packed: dict[tuple[Short | None, int], Packed[torch.Tensor]] = {}
        self._geometries = Kept(self._candidates)
        self._ways: list[Geometry]
        self._now: Geometry

    def lay_out(self, layouts: Sequence[PlaneLayout]) -> None:
        places = self.chain.made(0)[2:]
        self._ways = self._geometries((layouts[0], places))
        self._now = self._ways[0]
        self.plane.lay_out(self._now.target)

    def _candidates(self, key: tuple[PlaneLayout, tuple[int, ...]]) -> list[Geometry]:
        """One for each algorithm that fits, the one that should take least first; all make the same plane."""
        source, (high, wide) = key
        channels = source.lanes if self._groups == 1 else source.channels // self._groups
        made = [
            Geometry(
                source,
                (high, wide),
                self._window,
                (channels, self._outputs, self._groups),
                Form(tile, self._pooled, self.compact),
            )
            for tile in algorithms(self._window, channels, self._pooled)
        ]
        return sorted(made, key=lambda geometry: geometry.cost)

    def _weights(self, tile: Short | None, lanes: int) -> torch.Tensor:
        """(groups, ...): each group's weights as the kernel reads them."""

        def make(kept: torch.Tensor | None) -> torch.Tensor:
            parts = self._layer.blobs[0].value.chunk(self._groups)
            return (
                torch.stack([pack(part, tile, lanes) for part in parts])
                if len(parts) > 1
                else pack(parts[0], tile, lanes, None if kept is None else kept[0])[None]
            )

        return self._packed.setdefault((tile, lanes), Packed(self._layer.blobs[:1], make)).get()

    def compute(self, planes: Sequence[Plane]) -> None:
        source = planes[0]
        if len(self._ways) > 1 and chosen() == "measure":
            layout = source.layout
            work = (self._window, self._groups, self._outputs, layout.dims, layout.stored)
            number = fastest(work, [partial(self._compute, way, source) for way in self._ways])
            self._now = self._ways[number]
        self._compute(self._now, source)

    def _compute(self, now: Geometry, source: Plane) -> None:
        weights, numbers = self._weights(now.tile, now.channels), self._epilogue.get()
        for group in range(self._groups):
            work = work_of(now, source, self.plane, group)._replace(
                weights=weights[group].data_ptr(),
                scale=numbers[0].data_ptr() + 4 * group * now.outputs,
                shift=numbers[1].data_ptr() + 4 * group * now.outputs,
                pooled=int(self._pooled),
            )
            convolve(now, work, self._epilogue.slope)


def work_of(now: Geometry, source: Plane, target: Plane, group: int = 0) -> products.Convolution:
    """A convolution's work but for its parameters."""
    return products.Convolution(
        source=source.address + 4 * group * now.channels,
        rows=address(now.reads[0]),
        columns=address(now.reads[1]),
        high=now.high,
        wide=now.wide,
        across=now.across,
        channels=now.channels,
        short=now.tile.products * 8 + now.tile.outputs if now.tile else 0,
        weights=0,
        outputs=rounded(now.outputs, COLUMNS),
        target=target.address + 4 * group * now.outputs,
        target_rows=address(now.writes[0]),
        target_columns=address(now.writes[1]),
        stored=rounded(now.outputs, LANES),
        scale=0,
        shift=0,
        pooled=0,
    )


def convolve(now: Geometry, work: products.Convolution, slope: float = 1.0) -> None:
    """Do all of a convolution's work."""
    tiles, wide = now.split(torch.get_num_threads(), cache_size())
    parts, negative = -(-work.outputs // wide), np.float32(slope)

    def piece(number: int, scratch: int) -> None:
        start, channel = number // parts * tiles, number % parts * wide
        count, channels = min(tiles, now.tiles - start), min(wide, work.outputs - channel)
        products.convolve(work, negative, start, count, channel, channels, scratch)

    workers.run(piece, -(-now.tiles // tiles) * parts, now.scratch(tiles, wide))


class ConvolveEach(Operation):
    """A Convolution with as many groups as channels, in and out, and its epilogue."""

    def __init__(self, chain: Chain, epilogue: Sequence[Layer]) -> None:
        super().__init__(chain)
        layer = chain.layer(0)
        assert isinstance(layer, Convolution)
        param = layer.layer_param.convolution_param
        self._layer, self._window = layer, window_of(layer)
        self._lanes = rounded(param.num_output, LANES)
        bias = layer.blobs[1] if param.bias_term else None
        self._epilogue = Epilogue(param.num_output, bias, epilogue, self._lanes)
        self._packed = Packed(layer.blobs[:1], self._pack)
        self._tables = Kept(self._make_tables)

    def _pack(self, _: torch.Tensor | None) -> torch.Tensor:
        weight = self._layer.blobs[0].value.flatten(1)
        packed = weight.new_zeros(weight.shape[1], self._lanes)
        packed[:, : len(weight)] = weight.T
        return packed

    def lay_out(self, layouts: Sequence[PlaneLayout]) -> None:
        places = self.chain.made(0)[2:]
        self._now = self._tables((layouts[0], places))
        self.plane.lay_out(self._now[0])

    def _make_tables(self, key: tuple[PlaneLayout, tuple[int, ...]]) -> tuple[PlaneLayout, list[np.ndarray]]:
        source, places = key
        return pixel_tables(source, places, self._window)

    def compute(self, planes: Sequence[Plane]) -> None:
        target, (rows, columns, target_rows, target_columns) = self._now
        numbers, slope = self._epilogue.get(), np.float32(self._epilogue.slope)
        work = pixels.Depthwise(
            source=planes[0].address,
            rows=address(rows),
            columns=address(columns),
            high=rows.shape[1],
            wide=columns.shape[1],
            across=len(columns),
            lanes=target.lanes,
            weights=self._packed.get().data_ptr(),
            target=self.plane.address,
            target_rows=address(target_rows),
            target_columns=address(target_columns),
            scale=numbers[0].data_ptr(),
            shift=numbers[1].data_ptr(),
        )
        in_pieces(
            len(rows) * len(columns),
            target.lanes,
            lambda first, count: pixels.convolve_each(work, slope, first, count),
        )


def window_of(layer: Convolution) -> Window:
    """The layer's window on two axes."""
    window = layer.window
    (kh, kw), (sh, sw), (ph, pw), (dh, dw) = window.kernel, window.stride, window.pad, window.dilation
    return Window((kh, kw), (sh, sw), (ph, pw), (dh, dw))


def pixel_tables(
    source: PlaneLayout,
    places: Sequence[int],
    window: Window,
    outside: int | None = None,
    compact: bool = True,
) -> tuple[PlaneLayout, list[np.ndarray]]:
    """The layout of what a window makes of each channel, and tables of rows and columns read and written.

    Args:
        outside: what stands for rows and columns outside of the map instead of the offset of zeros.
    """
    axes = [
        Axis(stored, count, axis, Form(compact=compact))
        for stored, count, axis in zip((source.rows, source.columns), places, window.axes())
    ]
    rows, columns = axes
    target = PlaneLayout(source.batch, source.channels, rows.rows, columns.rows, source.lanes)
    reads = [source.row_offsets(rows.reads), source.column_offsets(columns.reads)]
    if outside is not None:
        for axis, stored, table in zip(axes, (source.rows, source.columns), reads):
            gone = (axis.reads < 0) | (axis.reads >= len(stored))
            table[np.tile(gone, (len(table) // len(gone), 1))] = outside
    return target, [*reads, *targets(target, rows.writes, columns.writes, False)]
