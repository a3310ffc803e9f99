"""Caffe on PyTorch: pycaffe's names and numbers.

Writing nets (`NetSpec`, `layers`, `params`) needs protobuf alone. Everything else is loaded when it is
first used, so `import caffe` stays quick and does not load PyTorch. The logger `caffe` is ready at once.
"""

from __future__ import annotations

import importlib
from typing import Any

from . import proto
from ._caffe import ENGINE as __engine__
from ._caffe import set_up_log as _set_up_log
from .net_spec import NetSpec, layers, params, to_proto
from .proto.caffe_pb2 import TEST, TRAIN

__version__ = "1.0.0"  # of the Caffe that this is; `__engine__` is whose work it is

#: module -> the public names that come from it
_LAZY = {
    ".pycaffe": (
        "Net", "SGDSolver", "NesterovSolver", "AdaGradSolver", "RMSPropSolver", "AdaDeltaSolver",
        "AdamSolver", "get_solver",
    ),
    "._caffe": (
        "NCCL", "Timer", "Layer", "layer_type_list", "register_layer", "init_log", "set_mode_cpu",
        "set_mode_gpu", "set_device", "set_random_seed", "solver_count", "set_solver_count", "solver_rank",
        "set_solver_rank", "set_multiprocess", "has_nccl", "CaffeError", "ParseError", "NetError",
        "LayerError", "BlobError", "DataError", "WeightsError", "SolverError", "DeviceError",
        "MissingExtraError",
    ),
    ".classifier": ("Classifier",),
    ".detector": ("Detector",),
}  # fmt: skip
_SUBMODULES = ("io", "net_spec", "pycaffe", "classifier", "detector", "coord_map", "draw", "proto", "_caffe")
_SOURCE = {name: (module, name) for module, names in _LAZY.items() for name in names}
_SOURCE["log"] = ("._caffe", "log_message")

__all__ = ["NetSpec", "TEST", "TRAIN", "__engine__", "__version__"]
__all__ += ["io", "layers", "params", "proto", "to_proto"]
__all__ += list(_SOURCE)


_set_up_log()


def __getattr__(name: str) -> Any:
    if name in _SOURCE:
        module, attribute = _SOURCE[name]
        value = getattr(importlib.import_module(module, __name__), attribute)
    elif name in _SUBMODULES:
        value = importlib.import_module(f".{name}", __name__)
    else:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_SUBMODULES})
