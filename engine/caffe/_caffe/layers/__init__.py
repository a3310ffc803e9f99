"""Caffe's 61 layer types in 16 modules, grouped by what a layer does; see docs/layers.md."""

from __future__ import annotations

import importlib

MODULES = (
    "activation",
    "affine",
    "arithmetic",
    "convolution",
    "data_files",
    "data_memory",
    "dense",
    "loss",
    "metric",
    "noise",
    "normalization",
    "pooling",
    "python",
    "recurrent",
    "routing",
    "shape",
)


def load() -> None:
    """Import every layer module, which registers its types."""
    for module in MODULES:
        importlib.import_module(f"{__name__}.{module}")
