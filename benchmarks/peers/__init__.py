"""Who runs beside the engine: one module a library, each with the same three functions.

`version()` names the library's version; `prepare(case)` writes the files that `load` needs, in a process of
its own, so that converters do not count as memory; `load(case, task, variant)` returns a `Run`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol, cast

from ..case import INFERENCE, TRAINING, Case, Run

#: Whose interpreter runs a contestant.
OURS, PEERS, BVLC = "ours", "peers", "bvlc"


class Library(Protocol):
    """What a module of this folder holds."""

    def version(self) -> str: ...

    def prepare(self, case: Case) -> None: ...

    def load(self, case: Case, task: str, variant: str) -> Run: ...


@dataclass(frozen=True)
class Contestant:
    """One row of the tables: its name for people, its module, its interpreter, what it can do."""

    label: str
    module: str
    python: str = PEERS
    variant: str = ""
    tasks: tuple[str, ...] = (INFERENCE,)
    on_gpu: bool = False

    @property
    def library(self) -> Library:
        """The module, imported now: only the interpreter that has the library can."""
        return cast(Library, import_module(f"{__name__}.{self.module}"))


_BOTH = (INFERENCE, TRAINING)

CONTESTANTS: Mapping[str, Contestant] = {
    "engine": Contestant("this engine", "pycaffe", OURS, tasks=_BOTH, on_gpu=True),
    "eager": Contestant("PyTorch eager", "pytorch", variant="eager", tasks=_BOTH, on_gpu=True),
    "channels-last": Contestant(
        "PyTorch channels-last", "pytorch", variant="channels-last", tasks=_BOTH, on_gpu=True
    ),
    "compiled": Contestant("PyTorch compiled", "pytorch", variant="compiled", tasks=_BOTH, on_gpu=True),
    "onnxruntime": Contestant("ONNX Runtime", "onnxruntime"),
    "openvino": Contestant("OpenVINO", "openvino"),
    "mnn": Contestant("MNN", "mnn"),
    "ncnn": Contestant("ncnn", "ncnn"),
    "opencv": Contestant("OpenCV dnn", "opencv"),
    "bvlc": Contestant("BVLC Caffe", "pycaffe", BVLC, tasks=_BOTH),
}
