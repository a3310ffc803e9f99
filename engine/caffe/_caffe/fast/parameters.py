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
from ..machine import moves
from ..machine.simd import COLUMNS
from ..machine.toom import Short
from ..machine.workers import in_pieces

T = TypeVar("T")


def contents(values: torch.Tensor) -> int:
    """A number that changes with the contents of a flat float32 tensor."""
    if values.numel() < 2:
        return hash(tuple(values.tolist()))
    return int(moves.fingerprint(values.data_ptr(), values.numel()))


class Packed(Generic[T]):
    """The result of `make`, made anew when a parameter was written, whoever wrote it and how.

    Args:
        make: is given its last result, or None.
    """

    def __init__(self, blobs: Sequence[Blob], make: Callable[[T | None], T]) -> None:
        self._blobs, self._make = tuple(blobs), make
        self._state: Hashable = None
        self._made: T | None = None

    def get(self) -> T:
        """The result for the parameters' present values."""
        state = tuple(blob.data_memory.state(contents) for blob in self._blobs)
        if self._made is None or state != self._state:
            self._made, self._state = self._make(self._made), state
        return self._made


def packed_shape(weight: torch.Tensor, tile: Short | None, lanes: int) -> tuple[int, int, int, int]:
    """The shape of what `pack` makes."""
    outputs, _, *taps = weight.shape
    products, depth = (tile.products**2, lanes) if tile else (1, math.prod(taps) * lanes)
    return products, -(-outputs // COLUMNS), depth, COLUMNS


def pack(
    weight: torch.Tensor, tile: Short | None, lanes: int, kept: torch.Tensor | None = None
) -> torch.Tensor:
    """Weights (O, C, kh, kw) as `products.convolve` reads them: (products, O/COLUMNS, depth, COLUMNS).

    Args:
        tile: the algorithm; None for all taps.
        lanes: numbers of an input pixel, C of them used.
        kept: memory of that shape, of any contents, which is written over: new memory costs more than what is
            written there.
    """
    outputs, channels, *taps = weight.shape
    panels = -(-outputs // COLUMNS)
    made = torch.empty(packed_shape(weight, tile, lanes)) if kept is None else kept
    if lanes > channels or outputs % COLUMNS:
        made.zero_()
    source, packed = weight.contiguous().numpy(), made.numpy()

    def run(first: int, count: int) -> None:
        if tile:
            moves.pack_tiles(source, tile.kernel, packed, first, count)
        else:
            moves.pack_taps(source, packed, lanes, first, count)

    in_pieces(panels * channels, COLUMNS * math.prod(taps), run)
    return made


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
        self._packed = Packed(blobs if bias is None else [bias, *blobs], self._make)

    def get(self) -> torch.Tensor:
        """(2, padded): scale and shift of each channel."""
        return self._packed.get()

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
