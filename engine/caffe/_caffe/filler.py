"""Fillers: what a parameter holds before it has learned anything.

Numbers come from `device.cpu_generator()` whatever the device, so one seed gives one net everywhere.
They are drawn when the net is built, in the order of its parameters, also where weights are loaded over
them: a draw left out would move all later ones. What is constant zero is neither drawn nor written.
Source: Caffe's filler.hpp. fan_in = count / dim 0, fan_out = count / dim 1 (count if there is one axis).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ..proto.caffe_pb2 import FillerParameter
from . import device
from .blob import Blob
from .errors import LayerError
from .formats import forks


def fill(blob: Blob, filler: FillerParameter, where: str = "") -> None:
    """Set the blob's data as `filler` says; `where` begins the message of an error.

    Raises:
        LayerError: an unknown type, an empty blob, or settings that the type does not allow.
    """
    prefix = f"{where}: " if where else ""
    try:
        rule = FILLERS[filler.type]
    except KeyError:
        advice = forks.value_advice(filler.type)
        raise LayerError(
            f"{prefix}Unknown filler name: {filler.type}{f' ({advice})' if advice else ''}. "
            f"Known: {', '.join(sorted(FILLERS))}"
        ) from None
    try:
        _check(blob.count > 0, f"there is nothing to fill: the blob has shape {blob.dims}")
        if rule is not gaussian:
            _check(filler.sparse == -1, f"Sparsity not supported by this Filler (sparse: {filler.sparse})")
        values = rule(blob.dims, filler)
    except _Wrong as error:
        raise LayerError(f"{prefix}filler '{filler.type}': {error}") from None
    blob.put(values.to(device.current()))


def redraw(values: Tensor, filler: FillerParameter) -> None:
    """Draw in place the numbers that `fill` would put there on the host; see `redraws`."""
    generator = device.cpu_generator()
    if filler.type == "gaussian":
        values.normal_(filler.mean, filler.std, generator=generator)
    else:
        values.uniform_(filler.min, filler.max, generator=generator)


def redraws(filler: FillerParameter) -> bool:
    """Whether `redraw` knows the filler."""
    return filler.type == "uniform" or (filler.type == "gaussian" and filler.sparse == -1)


class _Wrong(ValueError):
    """A setting that a filler cannot work with."""


def _check(condition: bool, message: str) -> None:
    if not condition:
        raise _Wrong(message)


def constant(dims: tuple[int, ...], filler: FillerParameter) -> Tensor:
    """`value` everywhere."""
    if filler.value:
        return torch.full(dims, filler.value, dtype=device.dtype())
    # NumPy's zeros, unlike torch's, cost neither time nor memory before weights are loaded over them.
    return torch.from_numpy(np.zeros(dims, np.float64 if device.dtype() == torch.float64 else np.float32))


def uniform(dims: tuple[int, ...], filler: FillerParameter) -> Tensor:
    """U[min, max]."""
    return _uniform(dims, filler.min, filler.max)


def gaussian(dims: tuple[int, ...], filler: FillerParameter) -> Tensor:
    """N(mean, std^2); with `sparse` s >= 0 each value is kept with probability s / dim 0, else 0."""
    _check(filler.sparse >= -1, f"sparse is the number of values to keep per output, not {filler.sparse}")
    values = _normal(dims, filler.mean, filler.std)
    if filler.sparse >= 0:
        _check(len(dims) >= 1, "sparse needs a blob with at least one axis")
        _check(filler.sparse <= dims[0], f"sparse: {filler.sparse} is more than dim 0 of shape {dims}")
        keep = torch.empty(dims, dtype=device.dtype())
        values *= keep.bernoulli_(filler.sparse / dims[0], generator=device.cpu_generator())
    return values


def positive_unitball(dims: tuple[int, ...], filler: FillerParameter) -> Tensor:
    """U[0, 1], each slice along axis 0 divided by its sum."""
    _check(len(dims) >= 1, "needs a blob with at least one axis")
    rows = _uniform(dims, 0, 1).view(dims[0], -1)
    return (rows / rows.sum(1, keepdim=True)).reshape(dims)


def xavier(dims: tuple[int, ...], filler: FillerParameter) -> Tensor:
    """U[-a, a] with a = sqrt(3 / n); n by `variance_norm` (Glorot and Bengio, AISTATS 2010)."""
    limit = math.sqrt(3 / _fan(dims, filler))
    return _uniform(dims, -limit, limit)


def msra(dims: tuple[int, ...], filler: FillerParameter) -> Tensor:
    """N(0, 2 / n); n by `variance_norm` (He et al., ICCV 2015)."""
    return _normal(dims, 0, math.sqrt(2 / _fan(dims, filler)))


def bilinear(dims: tuple[int, ...], filler: FillerParameter) -> Tensor:
    """Every slice the kernel that interpolates bilinearly, for upsampling by a Deconvolution."""
    _check(len(dims) == 4, f"the blob must have 4 axes, not shape {dims}")
    _check(dims[2] == dims[3], f"Filter must be square: shape {dims}")
    size = dims[3]
    factor = math.ceil(size / 2)
    centre = (size - 1) / (2 * factor)
    line = 1 - (torch.arange(size, dtype=device.dtype()) / factor - centre).abs()
    return (line[:, None] * line).expand(dims).contiguous()


def _uniform(dims: tuple[int, ...], low: float, high: float) -> Tensor:
    _check(low <= high, f"min {low:g} is above max {high:g}")
    return torch.empty(dims, dtype=device.dtype()).uniform_(low, high, generator=device.cpu_generator())


def _normal(dims: tuple[int, ...], mean: float, std: float) -> Tensor:
    _check(std > 0, f"std must be positive, not {std:g}")
    return torch.empty(dims, dtype=device.dtype()).normal_(mean, std, generator=device.cpu_generator())


def _fan(dims: tuple[int, ...], filler: FillerParameter) -> float:
    _check(len(dims) >= 1, "needs a blob with at least one axis")
    count = math.prod(dims)
    fan_in = count // dims[0]
    fan_out = count // dims[1] if len(dims) > 1 else count
    if filler.variance_norm == FillerParameter.AVERAGE:
        return (fan_in + fan_out) / 2
    return fan_out if filler.variance_norm == FillerParameter.FAN_OUT else fan_in


#: Filler name -> (dims, FillerParameter) -> the values, on the CPU.
FILLERS: dict[str, Callable[[tuple[int, ...], FillerParameter], Tensor]] = {
    rule.__name__: rule for rule in (constant, uniform, gaussian, positive_unitball, xavier, msra, bilinear)
}
