"""A second package named `caffe`: what BVLC's pycaffe lets a program see of an engine, and no more.

It computes with this project's engine, loaded under another name, and shows it through a shell as narrow as
pycaffe: vectors that index (those of a Python layer's blobs cannot be iterated), a new `solver.net` at each
access, blobs without additions, a log that glog writes to standard error, no third file beside a snapshot.
Where a real Caffe checks something and ends the process, so does this.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

_ENGINE = Path(__file__).resolve().parents[3] / "engine" / "caffe"
_SPEC = importlib.util.spec_from_file_location(
    "engine_behind", _ENGINE / "__init__.py", submodule_search_locations=[str(_ENGINE)]
)
assert _SPEC and _SPEC.loader
_engine = importlib.util.module_from_spec(_SPEC)
sys.modules[_SPEC.name] = _engine
_SPEC.loader.exec_module(_engine)

for _name in ("proto", "net_spec", "coord_map", "io"):
    sys.modules[f"{__name__}.{_name}"] = importlib.import_module(f".{_name}", _SPEC.name)
sys.modules[f"{__name__}.proto.caffe_pb2"] = sys.modules[f"{__name__}.proto"].caffe_pb2

from caffe import coord_map, io, net_spec, proto  # noqa: E402
from caffe.net_spec import NetSpec, layers, params, to_proto  # noqa: E402
from caffe.proto.caffe_pb2 import TEST, TRAIN  # noqa: E402

from ._glog import log, set_up  # noqa: E402

__version__ = "1.0.0"
__all__ = [
    "TEST", "TRAIN", "AdaDeltaSolver", "AdaGradSolver", "AdamSolver", "Layer", "Net", "NesterovSolver",
    "NetSpec", "RMSPropSolver", "SGDSolver", "coord_map", "get_solver", "io", "layers", "log", "net_spec",
    "params", "proto", "set_device", "set_mode_cpu", "set_mode_gpu", "set_random_seed", "to_proto",
]  # fmt: skip

set_up()


def __getattr__(name: str) -> Any:
    """What needs the engine is made when it is asked for."""
    if name not in __all__:
        raise AttributeError(f"module 'caffe' has no attribute '{name}'")
    from . import _shell

    return getattr(_shell, name)
