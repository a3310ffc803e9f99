"""The operations of Convolution layers."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch

from ...layer import Layer
from ...layers.convolution import Convolution
from ...machine import direct, pixels, products
from ...machine.simd import LANES, bits
from ...machine.transforms.toom import Short
from ...machine.unrolled import COLUMNS
from ...machine.workers import Job, Jobs, shared, workers
from ..choice import chosen, fastest
from ..convolution import STEP, Axis, Form, Geometry, Window, algorithms, rounded, targets
from ..operation import Chain, Kept, Operation
from ..parameters import Epilogue, Packed, pack
from ..planes import Plane, PlaneLayout

Offsets: TypeAlias = "list[np.ndarray]"  #: tables of them, of rows and of columns


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

    Or it is added to another bottom before its ReLU.

    Args:
        chain: Convolution, layers of the epilogue, maybe a Pooling; or an Eltwise before the ReLU.
        epilogue: the layers after the convolution that become its epilogue.
        pooled: whether the chain ends in a pooling.
    """

    def __init__(self, chain: Chain, epilogue: Sequence[Layer], pooled: bool) -> None:
        super().__init__(chain)
        layer = chain.layers[0]
        assert isinstance(layer, Convolution)
        param = layer.layer_param.convolution_param
        self._layer, self._pooled = layer, pooled
        self._groups = param.group
        self.outputs = param.num_output  #: channels of the top
        self._outputs = param.num_output // param.group
        self._window = window_of(layer)
        bias = layer.blobs[1] if param.bias_term else None
        self._epilogue = Epilogue(param.num_output, bias, epilogue, rounded(param.num_output, COLUMNS))
        self._packed: dict[tuple[Short | None, int], Packed[torch.Tensor]] = {}
        self._geometries: Kept[tuple[PlaneLayout, tuple[int, ...]], list[Geometry]] = Kept()
        self.narrow_margin = max(1, self._window.pad[1])
        self.compact = len(chain.bottoms) == 1  # what is added has every row and column
        self._side = Plane()  # what is added, where it is laid out in another way
        self._ways: list[Geometry]
        self._now: Geometry

    def lay_out(self, layouts: Sequence[PlaneLayout]) -> None:
        places = self.chain.made(0)[2:]
        self._ways = self._geometries.get((layouts[0], places), self._candidates)
        self._now = self._ways[0]
        self.plane.lay_out(self._now.target)

    def _candidates(self, key: tuple[PlaneLayout, tuple[int, ...]]) -> list[Geometry]:
        """One for each algorithm that fits, the one that should take least first; all make the same plane."""
        source, (high, wide) = key
        channels = source.lanes if self._groups == 1 else source.channels // self._groups
        adds = len(self.chain.bottoms) > 1
        made = [
            Geometry(
                source,
                (high, wide),
                self._window,
                (channels, self._outputs, self._groups),
                Form(tile, self._pooled, self.compact),
                self.plane.wider,
            )
            for tile in ([None] if adds else algorithms(self._window, channels, self._pooled))
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

        return self._packed.setdefault((tile, lanes), Packed(self._layer.blobs[:1])).get(make)

    def compute(self, planes: Sequence[Plane]) -> None:
        if self._to_measure(planes[0]):
            ways = [partial(self._compute, way, planes) for way in self._ways]
            self._now = self._ways[fastest(self._work(planes[0]), ways)]
        self._compute(self._now, planes)

    def _compute(self, now: Geometry, planes: Sequence[Plane]) -> None:
        workers.do(Jobs(self._jobs(now, *planes)))

    def jobs(self, planes: Sequence[Plane]) -> list[Job] | None:
        source, *sides = planes
        if self._to_measure(source) or any(side.layout != self.plane.layout for side in sides):
            return None
        return self._jobs(self._now, source, *sides)

    def _to_measure(self, source: Plane) -> bool:
        """Whether the algorithm is to be chosen by what takes the least time."""
        return len(self._ways) > 1 and chosen() == "measure"

    def _work(self, source: Plane) -> Hashable:
        """What there is to compute, for whichever layer."""
        layout = source.layout
        return self._window, self._groups, self._outputs, layout.dims, layout.stored

    def _jobs(self, now: Geometry, source: Plane, side: Plane | None = None) -> list[Job]:
        weights, numbers, jobs = self._weights(now.tile, now.channels), self._epilogue.get(), []
        for group in range(self._groups):
            parameters = {
                "weights": weights[group].data_ptr(),
                "scale": numbers[0].data_ptr() + 4 * group * now.outputs,
                "shift": numbers[1].data_ptr() + 4 * group * now.outputs,
                "slope": bits(self._epilogue.slope),
            }
            if self._pooled:
                parameters["pooled"] = 1
            if side is not None:
                parameters["added"] = self._like_top(side).address + 4 * group * now.outputs
            jobs.append(convolution(now, source, self.plane, parameters, group))
        return jobs

    def _like_top(self, side: Plane) -> Plane:
        """What is added, laid out as the top."""
        if side.layout == self.plane.layout:
            return side
        self._side.lay_out(self.plane.layout)
        self._side.read(side.values())
        return self._side


def work_of(now: Geometry, source: Plane, target: Plane, group: int = 0) -> products.Convolution:
    """A convolution's work by tiles, of one pixel where there is no `tile`, but for its parameters."""
    return products.Convolution(
        **_places(now, source, target, group),
        channels=now.channels,
        short=now.tile.products * 8 + now.tile.outputs if now.tile else 0,
        step=STEP,
    )


def direct_work_of(now: Geometry, source: Plane, target: Plane, group: int = 0) -> direct.Direct:
    """The same as a product over all taps."""
    return direct.Direct(
        **_places(now, source, target, group),
        pieces=now.pieces,
        deep=now.deep,
        added=0,
        slope=0,
        apart=now.apart,
        size=0,
        broad=0,
    )


def _places(now: Geometry, source: Plane, target: Plane, group: int) -> dict[str, int]:
    """What both works say of the input and the output."""
    return {
        "source": source.address + 4 * group * now.channels,
        "rows": now.tables[0],
        "columns": now.tables[1],
        "high": now.high,
        "wide": now.wide,
        "across": now.across,
        "weights": 0,
        "outputs": rounded(now.outputs, COLUMNS),
        "target": target.address + 4 * group * now.outputs,
        "target_rows": now.tables[2],
        "target_columns": now.tables[3],
        "stored": rounded(now.outputs, LANES),
        "scale": 0,
        "shift": 0,
        "items": now.tiles,
    }


def convolution(
    now: Geometry, source: Plane, target: Plane, parameters: dict[str, int], group: int = 0
) -> Job:
    """All of a convolution's work.

    Args:
        parameters: addresses of `weights`, `scale` and `shift`, `slope`, and what else the work has.
    """
    size, broad = now.split(torch.get_num_threads(), cache_size())
    pieces = -(-now.tiles // size) * -(-rounded(now.outputs, COLUMNS) // broad)
    parameters = {"size": size, "broad": broad, **parameters}
    if now.tile:
        work = work_of(now, source, target, group)._replace(**parameters)
        return Job(products.convolve, work, pieces, now.scratch(size, broad))
    plain = direct_work_of(now, source, target, group)._replace(**parameters)
    return Job(direct.convolve, plain, pieces, now.scratch(size, broad))


class ConvolveEach(Operation):
    """A Convolution with as many groups as channels, in and out, and its epilogue."""

    def __init__(self, chain: Chain, epilogue: Sequence[Layer]) -> None:
        super().__init__(chain)
        layer = chain.layers[0]
        assert isinstance(layer, Convolution)
        param = layer.layer_param.convolution_param
        self._layer, self._window = layer, window_of(layer)
        self._lanes = rounded(param.num_output, LANES)
        bias = layer.blobs[1] if param.bias_term else None
        self._epilogue = Epilogue(param.num_output, bias, epilogue, self._lanes)
        self._packed: Packed[torch.Tensor] = Packed(layer.blobs[:1])
        self._tables: Kept[tuple[PlaneLayout, tuple[int, ...]], tuple[PlaneLayout, Offsets]] = Kept()

    def _pack(self, _: torch.Tensor | None) -> torch.Tensor:
        weight = self._layer.blobs[0].value.flatten(1)
        packed = weight.new_zeros(weight.shape[1], self._lanes)
        packed[:, : len(weight)] = weight.T
        return packed

    def lay_out(self, layouts: Sequence[PlaneLayout]) -> None:
        places = self.chain.made(0)[2:]
        self._now = self._tables.get((layouts[0], places), self._make_tables)
        self.plane.lay_out(self._now[0])

    def _make_tables(self, key: tuple[PlaneLayout, tuple[int, ...]]) -> tuple[PlaneLayout, Offsets]:
        source, places = key
        return pixel_tables(source, places, self._window)

    def jobs(self, planes: Sequence[Plane]) -> list[Job]:
        target, (rows, columns, target_rows, target_columns) = self._now
        by = self._epilogue.get()
        work = pixels.Depthwise(
            source=planes[0].address,
            rows=address(rows),
            columns=address(columns),
            high=rows.shape[1],
            wide=columns.shape[1],
            across=len(columns),
            lanes=target.lanes,
            weights=self._packed.get(self._pack).data_ptr(),
            target=self.plane.address,
            target_rows=address(target_rows),
            target_columns=address(target_columns),
            scale=by[0].data_ptr(),
            shift=by[1].data_ptr(),
            slope=bits(self._epilogue.slope),
        )
        taps = work.high * work.wide
        items, numbers = len(rows) * len(columns), taps * target.lanes // 4
        return [shared(pixels.convolve_each, work, items, numbers, 8 * taps)]


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
) -> tuple[PlaneLayout, Offsets]:
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
