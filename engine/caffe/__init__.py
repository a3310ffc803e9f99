"""Caffe on PyTorch: pycaffe's names and numbers.

Writing nets (`NetSpec`, `layers`, `params`) needs protobuf alone. Everything else is loaded when it is
first used, so `import caffe` stays quick and does not load PyTorch. The logger `caffe` is ready at once.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

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
        "set_mode_gpu", "set_device", "set_memory_saving", "set_checkpointing", "set_graphs", "precision",
        "set_precision", "set_random_seed", "solver_count", "set_solver_count", "solver_rank",
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


if TYPE_CHECKING:  # the same names, for type checkers and editors; a test compares the two
    # fmt: off
    # isort: off
    from . import (
        io as io, net_spec as net_spec, pycaffe as pycaffe, classifier as classifier, detector as detector,
        coord_map as coord_map, draw as draw, proto as proto, _caffe as _caffe,
    )
    from .pycaffe import (
        Net as Net, SGDSolver as SGDSolver, NesterovSolver as NesterovSolver, AdaGradSolver as AdaGradSolver,
        RMSPropSolver as RMSPropSolver, AdaDeltaSolver as AdaDeltaSolver, AdamSolver as AdamSolver,
        get_solver as get_solver,
    )
    from ._caffe import (
        NCCL as NCCL, Timer as Timer, Layer as Layer, layer_type_list as layer_type_list,
        register_layer as register_layer, init_log as init_log, set_mode_cpu as set_mode_cpu,
        set_mode_gpu as set_mode_gpu, set_device as set_device,
        set_memory_saving as set_memory_saving, set_checkpointing as set_checkpointing,
        set_graphs as set_graphs, precision as precision, set_precision as set_precision,
        set_random_seed as set_random_seed,
        solver_count as solver_count, set_solver_count as set_solver_count, solver_rank as solver_rank,
        set_solver_rank as set_solver_rank, set_multiprocess as set_multiprocess, has_nccl as has_nccl,
        CaffeError as CaffeError, ParseError as ParseError, NetError as NetError, LayerError as LayerError,
        BlobError as BlobError, DataError as DataError, WeightsError as WeightsError,
        SolverError as SolverError, DeviceError as DeviceError, MissingExtraError as MissingExtraError,
        log_message as log,  # noqa: F401 - an alias of another name
    )
    from .classifier import Classifier as Classifier
    from .detector import Detector as Detector
    # isort: on
    # fmt: on
else:

    def __getattr__(name: str) -> object:
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
