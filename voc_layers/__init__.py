"""Python data layers. A prototxt names this module: `module: "voc_layers" layer: "VOCSegDataLayer"`.

The layers are loaded when first asked for, so that reading files (`voc_layers.reading`) needs no caffe.
"""

from __future__ import annotations

import importlib
from typing import Any

from voc_layers.reading import DataError

_HOME = {"VOCSegDataLayer": "pascal", "SBDDSegDataLayer": "pascal", "ImageLabelLayer": "classification"}

__all__ = ["DataError", "ImageLabelLayer", "SBDDSegDataLayer", "VOCSegDataLayer"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'voc_layers' has no attribute '{name}'; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(f"voc_layers.{_HOME[name]}"), name)
