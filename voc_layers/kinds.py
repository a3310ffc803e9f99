"""The layouts by the data layers that read them. Imports no caffe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .folder import Folder, SbdFolder, Split, VocFolder
from .sets.nyud import NyudFolder
from .sets.pascalcontext import ContextFolder
from .sets.siftflow import SiftFlowFolder

_KINDS: tuple[type[Folder], ...] = (VocFolder, SbdFolder, NyudFolder, SiftFlowFolder, ContextFolder)
#: The modules of the data layers, all of which take `start`.
MODULES = frozenset(kind.module for kind in _KINDS)


def folder_of(layer: str, params: Mapping[str, Any], classes: tuple[str, ...]) -> Folder | None:
    """The folder that a data layer of this type and `param_str` reads; None for another type of layer."""
    for kind in _KINDS:
        if kind.layer == layer:
            return kind.of(params, classes)
    return None


def split_of(layer: str, params: Mapping[str, Any], classes: tuple[str, ...]) -> Split | None:
    """The split that it reads, with its list as it is now."""
    folder = folder_of(layer, params, classes)
    return folder.split(str(params["split"])) if folder else None
