"""Filling a net from a caffemodel: what does not fit, or leaves a layer empty, is an error."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

import surgery

from ..protocols import NetLike
from . import caffemodel

log = logging.getLogger("fcn")


def load(net: NetLike, path: Path, may_lack: Callable[[str], bool] = lambda layer: False) -> list[str]:
    """Copy the layers of a file into those of the same name; returns the layers that received nothing.

    Args:
        net: as its fillers made it.
        may_lack: whether a layer may go without, though nothing but a file can fill it.

    Raises:
        ValueError: a file that is no caffemodel, shapes that differ, a layer that would be left without
            weights, and values that are no numbers.
    """
    found = caffemodel.shapes(path)
    caffemodel.check_fit(path, net.params, found)
    untouched = [name for name in net.params if not found.get(name)]
    given = [name for name, shapes in found.items() if shapes]
    check_filled(net, (name for name in untouched if not may_lack(name)), path, given)
    if not set(given) & net.params.keys():
        both = f"it has {caffemodel.some(given)}, the net {caffemodel.some(net.params)}"
        raise ValueError(f"{path} does not fit the net: {both}")
    net.copy_from(str(path))
    check_finite(net, path)
    needed = [name for name in given if name in net.params and not may_lack(name)]
    zero = [name for name in needed if not net.params[name][0].data.any()]
    if zero:
        log.warning("%s: all zero in %s: it has learned nothing there", path, caffemodel.some(zero))
    return untouched


def check_filled(net: surgery.ParamsLike, untouched: Iterable[str], path: Path, given: Iterable[str]) -> None:
    """Raise ValueError naming the layers that received nothing from the file and were not filled otherwise.

    A layer without a filler is all zero, and what it computes tells nothing. One that interpolates, or whose
    filler is a constant, is as it was meant.
    """
    empty = [name for name in untouched if not _is_meant(net.params[name][0].data)]
    if empty:
        raise ValueError(
            f"{path} does not fit the net: nothing in it for {len(empty)} of {len(net.params)} layers, "
            f"{caffemodel.some(empty)}; it has {caffemodel.some(given)}. Weights go to layers of their name"
        )


def not_finite(net: surgery.ParamsLike) -> list[str]:
    """The layers that hold an infinite value or one that is no number."""
    return [n for n, blobs in net.params.items() if not all(np.isfinite(b.data).all() for b in blobs)]


def check_finite(net: surgery.ParamsLike, path: Path) -> None:
    """Raise ValueError naming the layers that hold an infinite value or one that is no number."""
    broken = not_finite(net)
    if broken:
        raise ValueError(
            f"{path}: values that are no numbers in {caffemodel.some(broken)}: it is of a training that "
            "diverged; take an earlier snapshot"
        )


def _is_meant(weights: np.ndarray) -> bool:
    """Whether weights that no file gave are those of a filler that needs none."""
    if not weights.any():
        return False
    if surgery.interpolates(weights) or (weights == weights.flat[0]).all():
        return True
    # Caffe's bilinear filler gives every pair of channels the same kernel.
    first = weights[:1, :1]
    return weights.ndim == 4 and bool(np.allclose(weights, first)) and surgery.interpolates(first)
