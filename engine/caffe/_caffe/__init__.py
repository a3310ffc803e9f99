"""The core: what pycaffe's compiled module exports, loaded when first used.

Only modules of this package import PyTorch; importing the package itself does not.
"""

from __future__ import annotations

import importlib
from typing import Any

from ..proto.caffe_pb2 import LayerParameter

#: Whose work this is; pyproject.toml reads the version from here. `caffe.__version__` is that of the Caffe
#: whose numbers the engine keeps.
ENGINE = "caffe-fcn 0.1.0"

#: submodule -> the names that it gives to the package
_LAZY = {
    "errors": (
        "CaffeError", "ParseError", "NetError", "LayerError", "BlobError", "DataError", "WeightsError",
        "SolverError", "DeviceError", "MissingExtraError",
    ),
    "log": ("init_log", "log_message", "set_up_log"),
    "device": (
        "set_mode_cpu", "set_mode_gpu", "set_device", "set_random_seed", "solver_count", "set_solver_count",
        "solver_rank", "set_solver_rank", "set_multiprocess", "device_summary", "gpu_count",
        "gpu_properties",
    ),
    "blob": (
        "Blob", "BlobVec", "RawBlobVec", "LayerVec", "NetVec", "StringVec", "IntVec", "DtypeVec", "BoolVec",
    ),
    "registry": ("register_layer", "layer_type_list", "layer_types"),
    "layer": ("Layer",),
    "net": ("Net",),
    "formats.blobproto": ("proto_dims",),
    "graph.read": ("read_net", "read_solver"),
    "watch.footprint": ("Footprint", "net_footprint"),
    "solvers": (
        "Solver", "SGDSolver", "NesterovSolver", "AdaGradSolver", "RMSPropSolver", "AdaDeltaSolver",
        "AdamSolver", "SolverAction", "SolverParameter", "get_solver",
    ),
    "data.samples": ("read_list",),
    "watch.timer": ("NetTimer", "Timer"),
    "solvers.parallel": ("NCCL", "has_nccl"),
}  # fmt: skip
_SOURCE = {name: module for module, names in _LAZY.items() for name in names}

__all__ = list(_SOURCE)
__all__ += ["LayerParameter"]


def __getattr__(name: str) -> Any:
    if name not in _SOURCE:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    value = getattr(importlib.import_module(f".{_SOURCE[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
