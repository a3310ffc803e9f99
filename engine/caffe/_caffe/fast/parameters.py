"""What is made from a layer's parameters before it can run, kept for as long as they stay the same."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

import torch

from ..blob import Blob
from ..layer import Layer
from ..layers.activation import ReLU
from ..layers.affine import Scale
from ..layers.normalization import BatchNorm
from ..machine import moves, weights
from ..machine.transforms.toom import Short
from ..machine.unrolled import COLUMNS
from ..machine.workers import Jobs, Piece, shared, workers

T = TypeVar("T")


def contents(values: torch.Tensor) -> int:
    """A number that changes with the contents of a flat float32 tensor."""
    if values.numel() < 2:
        return hash(tuple(values.tolist()))
    return int(moves.fingerprint(values.data_ptr(), values.numel()))


class Packed(Generic[T]):
    """What is made of parameters, made anew when one was written, whoever wrote it and how."""

    def __init__(self, blobs: Sequence[Blob]) -> None:
        self._blobs = tuple(blobs)
        self._state: Hashable = None
        self._made: T | None = None

    def get(self, make: Callable[[T | None], T]) -> T:
        """The result of `make` for the parameters' present values; it is given its last result, or None."""
        state = tuple(blob.data_memory.state(contents) for blob in self._blobs)
        if self._made is None or state != self._state:
            self._made, self._state = make(self._made), state
        return self._made


def packed_shape(outputs: int, taps: int, tile: Short | None, lanes: int) -> tuple[int, int, int, int]:
    """The shape of what `pack` makes of weights of so many outputs and taps."""
    products, depth = (tile.products**2, lanes) if tile else (1, taps * lanes)
    return products, -(-outputs // COLUMNS), depth, COLUMNS


def pack(
    weight: torch.Tensor,
    tile: Short | None,
    lanes: int,
    kept: torch.Tensor | None = None,
    turned: bool = False,
) -> torch.Tensor:
    """Weights (O, C, kh, kw) as `products.convolve` reads them: (products, O/COLUMNS, depth, COLUMNS).

    Args:
        tile: the algorithm; None for all taps.
        lanes: numbers of an input pixel, C of them used.
        kept: memory of that shape, of any contents, which is written over: new memory costs more than what is
            written there.
        turned: for (C, O, kh, kw), outputs and channels exchanged and kernels turned by half a circle.
    """
    work = _weights(weight, tile, lanes, turned)
    shape = packed_shape(work.outputs, work.taps, tile, lanes)
    made = torch.empty(shape) if kept is None else kept
    if lanes > work.channels:
        made.zero_()
    _do(weights.pack, work._replace(packed=made.data_ptr(), panels=shape[1]))
    return made


def unpack(sums: torch.Tensor, tile: Short | None, lanes: int, target: torch.Tensor, adds: int) -> None:
    """target (O, C, kh, kw) = or += the weights' gradient of which `sums` are those of products.

    Args:
        sums: (rows, products, outputs), rows for each `lanes` of a tap; the first C and O of them are used.
    """
    work = _weights(target, tile, lanes, False)
    _do(
        weights.unpack,
        work._replace(packed=sums.data_ptr(), panels=sums.shape[2] // COLUMNS, adds=adds),
    )


def _weights(weight: torch.Tensor, tile: Short | None, lanes: int, turned: bool) -> weights.Weights:
    outputs, channels = weight.shape[:2]
    taps = math.prod(weight.shape[2:])
    apart = [(channels * taps, outputs), (taps, channels)]
    (output, outputs), (channel, channels) = apart[::-1] if turned else apart
    return weights.Weights(
        weights=weight.data_ptr() + 4 * (taps - 1) * turned,
        output=output,
        channel=channel,
        tap=-1 if turned else 1,
        outputs=outputs,
        channels=channels,
        taps=taps,
        short=tile.products * 8 + tile.outputs if tile else 0,
        packed=0,
        lanes=lanes,
        panels=0,
    )


def _do(kernel: Piece, work: weights.Weights) -> None:
    items = work.panels * -(-work.channels // weights.BLOCK)
    numbers = 6 * weights.BLOCK * work.taps * COLUMNS
    workers.do(Jobs([shared(kernel, work, items, numbers, weights.room(work.taps))]))


class Epilogue:
    """Layers of which each value's result depends on the value and its channel alone.

    Args:
        bias: what is added first, or None.
        layers: BatchNorm with stored statistics and Scale, then maybe a ReLU; others do nothing.
        padded: how many channels to give numbers for; those without a channel get 0.
    """

    def __init__(self, channels: int, bias: Blob | None, layers: Sequence[Layer], padded: int) -> None:
        self._channels, self._bias, self._padded = channels, bias, padded
        rectifiers = [layer for layer in layers if isinstance(layer, ReLU)]
        self._affine = [layer for layer in layers if isinstance(layer, (BatchNorm, Scale))]
        #: what negative results are multiplied with
        self.slope = rectifiers[0].slope if rectifiers else 1.0
        blobs = [blob for layer in self._affine for blob in layer.blobs]
        self._packed: Packed[torch.Tensor] = Packed(blobs if bias is None else [bias, *blobs])

    def get(self) -> torch.Tensor:
        """(2, padded): scale and shift of each channel."""
        return self._packed.get(self._make)

    def _make(self, _: torch.Tensor | None) -> torch.Tensor:
        made = torch.zeros(2, self._padded, dtype=torch.float64)
        scale, shift = made[0, : self._channels], made[1, : self._channels]
        scale += 1
        if self._bias is not None:
            shift += self._bias.value
        for layer in self._affine:
            by, plus = _normal(layer) if isinstance(layer, BatchNorm) else _scale(layer)
            scale *= by
            shift.mul_(by).add_(plus)
        return made.float()


def _normal(layer: BatchNorm) -> tuple[torch.Tensor, torch.Tensor]:
    mean, variance, weight = (blob.value.view(-1).double() for blob in layer.blobs)
    factor = 1 / weight if weight else weight
    by = (variance * factor + layer.eps).rsqrt()
    return by, -mean * factor * by


def _scale(layer: Scale) -> tuple[torch.Tensor, torch.Tensor | float]:
    by = layer.blobs[0].value.view(-1).double()
    return by, layer.blobs[1].value.view(-1).double() if len(layer.blobs) > 1 else 0.0
