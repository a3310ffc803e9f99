"""Deconvolutions that interpolate: bilinear kernels."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from .protocols import ParamsLike


def upsample_filt(size: int) -> np.ndarray:
    """Bilinear kernel (`size` x `size`, float64) that upsamples by (size + 1) // 2.

    A separable tent of height 1, centred on a pixel for odd sizes and between two for even ones.
    """
    factor = (size + 1) // 2
    center = factor - 1 if size % 2 == 1 else factor - 0.5
    tent = 1 - np.abs(np.arange(size) - center) / factor
    return np.outer(tent, tent)


def interpolates(weights: np.ndarray) -> bool:
    """Whether kernels (K x K x h x h or K x 1 x h x h) are those of `interp`."""
    if weights.ndim != 4 or weights.shape[2] != weights.shape[3] or weights.shape[1] not in (1, len(weights)):
        return False
    return bool(np.allclose(weights, _kernels(weights), atol=1e-6))


def interp(net: ParamsLike, layers: Iterable[str]) -> None:
    """Make each layer's weights (K x K x h x h, or K x 1 x h x h) interpolate every channel by itself.

    The bilinear kernel goes where input channel = output channel; all else becomes zero.

    Raises:
        ValueError: kernels that are not square, and channel counts that cannot be paired.
    """
    for layer in layers:
        weights = net.params[layer][0].data
        if weights.ndim != 4:
            raise ValueError(
                f"layer '{layer}': weights are {weights.shape}; interp needs 4 axes "
                "(channels in, channels out, height, width)"
            )
        inputs, outputs, height, width = weights.shape
        if inputs != outputs and outputs != 1:
            raise ValueError(
                f"layer '{layer}': interpolation keeps channels apart, so it needs as many "
                f"outputs as inputs, or one output per group; the weights are {weights.shape}"
            )
        if height != width:
            raise ValueError(f"layer '{layer}': the kernel is {height, width}; interp needs a square one")
        weights[...] = _kernels(weights)


def _kernels(like: np.ndarray) -> np.ndarray:
    """Interpolating kernels of the shape and type of other weights."""
    channels = np.arange(len(like))
    kernels = np.zeros(like.shape, like.dtype)
    kernels[channels, channels % like.shape[1]] = upsample_filt(like.shape[2])
    return kernels
