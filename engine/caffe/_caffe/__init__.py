"""The core: what pycaffe's compiled module exports, loaded when first used.

Only modules of this package import PyTorch; importing the package itself does not.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING

from ..proto.caffe_pb2 import LayerParameter

# Read by GNU's OpenMP when PyTorch is loaded. Its threads look for more work in a loop, for milliseconds,
# on the cores that the kernels of `machine` need meanwhile; so they do for microseconds.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")

#: submodule -> the names that it gives to the package
_LAZY = {
    "errors": (
        "CaffeError", "ParseError", "NetError", "LayerError", "BlobError", "DataError", "WeightsError",
        "SolverError", "DeviceError", "MissingExtraError",
    ),
    "log": ("init_log", "log_message", "set_up_log"),
    "device": (
        "set_mode_cpu", "set_mode_gpu", "set_device", "set_memory_saving", "set_checkpointing",
        "set_graphs", "precision", "set_precision", "set_random_seed",
        "solver_count", "set_solver_count", "solver_rank", "set_solver_rank", "set_multiprocess",
        "device_summary", "gpu_count", "gpu_properties",
    ),
    "blob": (
        "Blob", "BlobVec", "RawBlobVec", "LayerVec", "NetVec", "StringVec", "IntVec", "DtypeVec", "BoolVec",
    ),
    "registry": ("register_layer", "layer_type_list", "layer_types"),
    "layer": ("Layer",),
    "net": ("Net",),
    "fast.runner": ("fast_summary",),
    "formats.version": ("ENGINE",),
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


if TYPE_CHECKING:  # the same names, for type checkers and editors; a test compares the two
    # fmt: off
    # isort: off
    from .errors import (
        CaffeError as CaffeError, ParseError as ParseError, NetError as NetError, LayerError as LayerError,
        BlobError as BlobError, DataError as DataError, WeightsError as WeightsError,
        SolverError as SolverError, DeviceError as DeviceError, MissingExtraError as MissingExtraError,
    )
    from .formats.version import ENGINE as ENGINE
    from .log import init_log as init_log, log_message as log_message, set_up_log as set_up_log
    from .device import (
        set_mode_cpu as set_mode_cpu, set_mode_gpu as set_mode_gpu, set_device as set_device,
        set_memory_saving as set_memory_saving, set_checkpointing as set_checkpointing,
        set_graphs as set_graphs, precision as precision,
        set_precision as set_precision, set_random_seed as set_random_seed,
        solver_count as solver_count,
        set_solver_count as set_solver_count, solver_rank as solver_rank, set_solver_rank as set_solver_rank,
        set_multiprocess as set_multiprocess, device_summary as device_summary, gpu_count as gpu_count,
        gpu_properties as gpu_properties,
    )
    from .blob import (
        Blob as Blob, BlobVec as BlobVec, RawBlobVec as RawBlobVec, LayerVec as LayerVec, NetVec as NetVec,
        StringVec as StringVec, IntVec as IntVec, DtypeVec as DtypeVec, BoolVec as BoolVec,
    )
    from .registry import (
        register_layer as register_layer, layer_type_list as layer_type_list, layer_types as layer_types,
    )
    from .layer import Layer as Layer
    from .net import Net as Net
    from .fast.runner import fast_summary as fast_summary
    from .formats.blobproto import proto_dims as proto_dims
    from .graph.read import read_net as read_net, read_solver as read_solver
    from .watch.footprint import Footprint as Footprint, net_footprint as net_footprint
    from .solvers import (
        Solver as Solver, SGDSolver as SGDSolver, NesterovSolver as NesterovSolver,
        AdaGradSolver as AdaGradSolver, RMSPropSolver as RMSPropSolver, AdaDeltaSolver as AdaDeltaSolver,
        AdamSolver as AdamSolver, SolverAction as SolverAction, SolverParameter as SolverParameter,
        get_solver as get_solver,
    )
    from .data.samples import read_list as read_list
    from .watch.timer import NetTimer as NetTimer, Timer as Timer
    from .solvers.parallel import NCCL as NCCL, has_nccl as has_nccl
    # isort: on
    # fmt: on
else:

    def __getattr__(name: str) -> object:
        if name not in _SOURCE:
            raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
        value = getattr(importlib.import_module(f".{_SOURCE[name]}", __name__), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
