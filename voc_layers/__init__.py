"""Python data layers, and the folders they read.

A prototxt names this package: `module: "voc_layers" layer: "VOCSegDataLayer"`. A name is
loaded when it is first asked for, so that folders and files can be read without caffe.
"""

from __future__ import annotations

import importlib
from typing import Any

_HOME = {
    "VOCSegDataLayer": "pascal",
    "SBDDSegDataLayer": "pascal",
    "ImageLabelLayer": "classification",
    "VocFolder": "folder",
    "SbdFolder": "folder",
    "Split": "folder",
    "SampleError": "reading",
}

__all__ = [
    "ImageLabelLayer",
    "SBDDSegDataLayer",
    "SampleError",
    "SbdFolder",
    "Split",
    "VOCSegDataLayer",
    "VocFolder",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'voc_layers' has no attribute '{name}'; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
