"""Operations that can go backward: what the fast path trains with.

Gradients are planes too, with every row and column: those that are equal in a map have gradients of their
own. Sources: the gradient of the bottom is a convolution by the turned kernel; that of the weights is the
adjoint of the forward algorithm, product by product, with the gradients of equal pixels added up before.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from ...blob import Blob
from ...layer import Layer
from ...layers.pooling import PoolWindow
from ...machine import dense, gradients, passing
from ...machine.simd import bits
from ...machine.transforms.toom import Short
from ...machine.unrolled import COLUMNS, ROWS
from ...machine.workers import Job, Jobs, Piece, shared, workers
from ..convolution import Form, Geometry, Window, algorithms, rounded
from ..folding import Folder, opened
from ..operation import Chain, Kept, Operation, Room
from ..parameters import pack, packed_shape, unpack
from ..planes import Plane, PlaneLayout
from .convolve import Convolve, Offsets, address, convolution, pixel_tables, work_of
from .dense import Dense
from .light import Pool

BAND = 20 << 20  # bytes of transformed tiles that are made before they are multiplied
SUMMED = 512  # pixels that one sum of a channel's gradient adds up


class Scratch(NamedTuple):
    """What operations work in, one after the other: nothing in it outlasts a call of one of them."""

    left: Room  #: the left factors of products
    right: Room  #: the right ones
    made: Room  #: what they make; packed weights
    rows: Room  #: outputs by pixels
    folded: Plane  #: gradients of equal pixels, added up

    @classmethod
    def fresh(cls) -> Scratch:
        """Of no size yet."""
        return cls(Room(), Room(), Room(), Room(), Plane())


class Trained(Operation):
    """An operation with gradients: that of its bottom is a plane, its parameters' are added to theirs."""

    def __init__(self, chain: Chain) -> None:
        super().__init__(chain)
        self.bottom_grad = Plane()

    @abstractmethod
    def backward(self, source: Plane, result: Plane, grad: Plane, down: bool) -> None:
        """Add the parameters' gradients; fill `bottom_grad` if `down`.

        Args:
            source: the bottom: the plane of the forward pass before, or one with every row and column.
            result: the top, likewise.
            grad: the top's gradient, every row and column. It is changed: what a rectifier stops is set to
                zero.
        """


class TrainedConvolve(Convolve, Trained):
    """A Convolution of one group and stride 1, and maybe a ReLU in place.

    Args:
        flags: which parameters want a gradient.
    """

    def __init__(
        self, chain: Chain, epilogue: Sequence[Layer], flags: Sequence[bool], scratch: Scratch
    ) -> None:
        super().__init__(chain, epilogue, False)
        self.bottom_grad = Plane()
        self._flags, self._scratch = tuple(flags), scratch
        self._backs: Kept[tuple[PlaneLayout, PlaneLayout], Geometry] = Kept()
        self._folder = Folder(scratch.folded)

    def _weights(self, tile: Short | None, lanes: int) -> torch.Tensor:
        return self._pack(tile, lanes)[None]

    def _pack(self, tile: Short | None, lanes: int, turned: bool = False) -> torch.Tensor:
        """Weights as the kernel reads them, for this use only: they change before the next, and are many."""
        weight = self._layer.blobs[0].value
        outputs, taps = weight.shape[int(turned)], math.prod(weight.shape[2:])
        shape = packed_shape(outputs, taps, tile, lanes)
        return pack(weight, tile, lanes, self._scratch.made.get(math.prod(shape)).view(shape), turned)

    def backward(self, source: Plane, result: Plane, grad: Plane, down: bool) -> None:
        now = self._now
        if source.layout != self._seen[0]:
            now = self._geometries.get((source.layout, grad.layout.dims[2:]), self._candidates)[0]
        folded = self._folder.fold(result, grad, now.target, self._epilogue.slope)
        blobs = self._layer.blobs
        if len(blobs) > 1 and self._flags[1]:
            blobs[1].add_grad(_channel_sums(folded)[: blobs[1].count])
        if self._flags[0]:
            self._weight_gradient(now, source, folded)
        if down:
            self._bottom_gradient(source, grad)

    def _weight_gradient(self, now: Geometry, source: Plane, grad: Plane) -> None:
        weight = self._layer.blobs[0]
        outputs, rows = rounded(now.outputs, COLUMNS), rounded(now.depth, ROWS)
        tables = [
            np.maximum(table, 0) for table in now.writes
        ]  # what is not there is zeros, in row 0 and column 0
        work = work_of(now, source, grad)._replace(
            target_rows=address(tables[0]), target_columns=address(tables[1])
        )
        band = min(now.tiles, max(8 * ROWS, BAND // (4 * now.products * (now.depth + outputs))))
        into = self._scratch.left.get(now.products * band * now.depth + ROWS)
        grads = self._scratch.right.get(now.products * band * outputs)
        sums = self._scratch.made.get(now.products * rows * outputs).view(rows, now.products, outputs)
        record = np.array(work, np.int64)
        for first in range(0, now.tiles, band):
            tiles = min(band, now.tiles - first)
            filling = gradients.Tiles(address(record), first, into.data_ptr(), grads.data_ptr(), tiles)
            products = gradients.Correlation(
                into.data_ptr(),
                grads.data_ptr(),
                sums.data_ptr(),
                now.products,
                tiles,
                now.depth,
                rows,
                outputs,
                int(first > 0),
            )
            moved, groups = now.products * (now.depth + outputs), now.products * rows // ROWS
            fill = shared(gradients.fill, filling, tiles, moved)
            workers.do(Jobs([fill, shared(gradients.correlate, products, groups, ROWS * outputs)]))
        target, adds = _place(weight)
        unpack(sums, now.tile, now.channels, target, adds)
        weight.put_grad(target)

    def _bottom_gradient(self, source: Plane, grad: Plane) -> None:
        back = self._backs.get((grad.layout, source.layout), self._back)
        self.bottom_grad.lay_out(back.target)
        numbers = torch.ones(2, rounded(back.outputs, COLUMNS))
        numbers[1] = 0
        parameters = {
            "weights": self._pack(back.tile, back.channels, turned=True).data_ptr(),
            "scale": numbers[0].data_ptr(),
            "shift": numbers[1].data_ptr(),
            "slope": bits(1),
        }
        workers.do(Jobs([convolution(back, grad, self.bottom_grad, parameters)]))

    def _back(self, key: tuple[PlaneLayout, PlaneLayout]) -> Geometry:
        grad, source = key
        window = self._window
        pads = [d * (k - 1) - p for k, p, d in zip(window.kernel, window.pad, window.dilation)]
        turned = Window(window.kernel, (1, 1), (pads[0], pads[1]), window.dilation)
        size, channels = source.dims[2:], (grad.lanes, source.channels, 1)
        made = [
            Geometry(grad, size, turned, channels, Form(tile, compact=False))
            for tile in algorithms(turned, grad.lanes, False)
        ]
        return min(made, key=lambda geometry: geometry.cost)


class TrainedDense(Dense, Trained):
    """A Convolution with more weights than pixels, and maybe a ReLU in place.

    Args:
        flags: which parameters want a gradient.
    """

    by_lines = False  # weights change at every step

    def __init__(
        self, chain: Chain, epilogue: Sequence[Layer], flags: Sequence[bool], scratch: Scratch
    ) -> None:
        super().__init__(chain, epilogue)
        self.bottom_grad = Plane()
        self._flags = tuple(flags)
        self._x, self._turned, self._spread, self._made, _ = scratch

    def backward(self, source: Plane, result: Plane, grad: Plane, down: bool) -> None:
        now, blobs = self._now, self._layer.blobs
        inner = self._inner(grad)
        if self._slope is not None:
            inner.copy_(torch.where(self._inner(result) > 0, inner, inner * self._slope))
        made = self._made.get((now.outputs + 1) * now.wide)
        turned = made[: now.outputs * now.wide].view(now.outputs, now.wide)
        turned[:, : now.pixels].copy_(inner.reshape(now.pixels, now.outputs).T)
        if len(blobs) > 1 and self._flags[1]:
            blobs[1].add_grad(turned[:, : now.pixels].sum(1))
        if self._flags[0]:
            self._weight_gradient(source, turned)
        if down:
            self._bottom_gradient(source, turned)

    def _weight_gradient(self, source: Plane, grads: torch.Tensor) -> None:
        now, weight = self._now, self._layer.blobs[0]
        target, adds = _place(weight)
        x = self._x.get(now.pixels * now.taps).view(now.pixels, now.taps)
        self._gather(source, x)
        work = now._replace(left=grads.data_ptr(), right=x.data_ptr(), target=target.data_ptr(), adds=adds)
        copies = 4 * gradients.PANELS * now.pixels * COLUMNS
        workers.do(Jobs([self._by_panels(gradients.weight_gradient, work, copies)]))
        weight.put_grad(target)

    def _bottom_gradient(self, source: Plane, grads: torch.Tensor) -> None:
        now = self._now
        x = self._spread.get((now.pixels + ROWS) * now.taps)  # as many rows too many are written
        weights = self._layer.blobs[0].value.data_ptr()
        work = now._replace(left=grads.data_ptr(), right=weights, target=x.data_ptr())
        copies = 4 * gradients.PANELS * dense.DEPTH * COLUMNS
        layout = opened(source.layout)
        self.bottom_grad.lay_out(layout)
        self.bottom_grad.clear()
        taps = self._taps(self.bottom_grad, x)
        spread = shared(gradients.scatter, taps, layout.channels, 1)
        workers.do(Jobs([self._by_panels(gradients.input_gradient, work, copies), spread]))

    def _by_panels(self, kernel: Piece, work: dense.Dense, copies: int) -> Job:
        numbers = gradients.PANELS * COLUMNS
        return shared(kernel, work, -(-work.taps // numbers), numbers * work.outputs, copies)


class TrainedPool(Pool, Trained):
    """A Pooling MAX whose windows do not overlap."""

    def __init__(self, chain: Chain) -> None:
        super().__init__(chain)
        self.bottom_grad = Plane()
        self._backs: Kept[tuple[PlaneLayout, PoolWindow], tuple[Offsets, Offsets]] = Kept()

    def _back(self, key: tuple[PlaneLayout, PoolWindow]) -> tuple[Offsets, Offsets]:
        """Tables of every row and column: in the bottom, and in its gradient."""
        source, window = key
        shape = Window(window.kernel, window.stride, window.pad)
        values, grads = (
            pixel_tables(layout, window.places, shape, outside=-1, compact=False)[1]
            for layout in (source, opened(source))
        )
        return values, grads

    def backward(self, source: Plane, result: Plane, grad: Plane, down: bool) -> None:
        if not down:
            return
        (rows, columns, *_), (to_rows, to_columns, grad_rows, grad_columns) = self._backs.get(
            (source.layout, self._layer.window), self._back
        )
        self.bottom_grad.lay_out(opened(source.layout))
        lanes = source.layout.lanes
        work = passing.Unpooling(
            source=source.address,
            rows=address(rows),
            columns=address(columns),
            high=rows.shape[1],
            wide=columns.shape[1],
            across=len(columns),
            lanes=lanes,
            grads=grad.address,
            grad_rows=address(grad_rows),
            grad_columns=address(grad_columns),
            target=self.bottom_grad.address,
            target_rows=address(to_rows),
            target_columns=address(to_columns),
        )
        numbers = rows.shape[1] * columns.shape[1] * lanes
        workers.do(Jobs([shared(passing.unpool, work, len(rows) * len(columns), numbers)]))


def _place(weight: Blob) -> tuple[torch.Tensor, int]:
    """Where a gradient is computed, and whether (1) it adds to what is there or (0) writes all of it."""
    blank = weight.blank_grad()
    if blank is not None:
        return blank, 0
    adds = weight.diff_memory.allocated
    return weight.grad if adds else torch.empty(weight.dims), int(adds)


def _channel_sums(grad: Plane) -> torch.Tensor:
    """The sum of each channel, (lanes,)."""
    layout = grad.layout
    count = layout.count // layout.lanes
    pieces, left = divmod(count, SUMMED)
    sums = torch.empty(pieces, layout.lanes)
    if pieces:
        work = passing.Sums(grad.address, layout.lanes, SUMMED, sums.data_ptr())
        workers.do(Jobs([shared(passing.add_up, work, pieces, SUMMED * layout.lanes)]))
    rest = grad.view().reshape(-1, layout.lanes)[count - left :]
    return sums.sum(0) + rest.sum(0)
