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
from ..machine.transforms.toom import Short
from ..machine.unrolled import COLUMNS

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
    channels, outputs = weight.shape[1], weight.shape[0]
    made = torch.empty(packed_shape(weight, tile, lanes)) if kept is None else kept
    if lanes > channels or outputs % COLUMNS:
        made.zero_()
    by = _transform(tile) if tile else None
    for panel, part in enumerate(torch.split(weight.flatten(2), COLUMNS)):
        used = part.permute(2, 1, 0)  # (taps, channels, outputs of a panel)
        into = made[:, panel] if tile else made[0, panel].view(len(used), lanes, COLUMNS)
        if by is not None:
            used = (by @ used.double().flatten(1)).view(-1, *used.shape[1:])
        into[:, :channels, : len(part)] = used
    return made


def unpack(sums: torch.Tensor, tile: Short | None, lanes: int, target: torch.Tensor, adds: int) -> None:
    """target (O, C, kh, kw) = or += the weights' gradient of which `sums` are those of products.

    Args:
        sums: (rows, products, outputs), rows for each `lanes` of a tap; the first C and O of them are used.
    """
    outputs, channels, *taps = target.shape
    flat = target.view(outputs, channels, -1)
    put = torch.Tensor.add_ if adds else torch.Tensor.copy_
    if tile is None:
        rows = sums[: math.prod(taps) * lanes].view(-1, lanes, sums.shape[2])
        put(flat, rows[:, :channels, :outputs].permute(2, 1, 0))
        return
    by = _transform(tile).T
    for part, into in zip(torch.split(sums[:channels], COLUMNS), torch.split(flat, COLUMNS, dim=1)):
        put(into, (by @ part.double())[..., :outputs].permute(2, 0, 1))


def _transform(tile: Short) -> torch.Tensor:
    """(products, taps) of both axes, float64."""
    axis = torch.from_numpy(tile.kernel)
    return torch.kron(axis, axis)


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
