"""A net as a program of `torch.export`. Imported only by what needs torch, see `fcn.export.formats`."""

from __future__ import annotations

import inspect
import io
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .graph import Graph
from .torch_module import CaffeModule


def write(net: Graph, path: Path) -> None:
    """Write `net` as .pt2; height and width stay open where the net leaves them open."""
    if not hasattr(torch.export.Dim, "DYNAMIC"):
        raise ValueError(f"{path.name}: needs PyTorch 2.6 or newer, found {torch.__version__}")
    module = CaffeModule(net).eval()
    images = tuple(torch.zeros(shape) for shape in net.inputs.values())
    sizes = {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    spec = {"inputs": tuple(sizes if image.ndim == 4 else None for image in images)} if net.any_size else None
    try:
        with quiet():
            program = torch.export.export(module, images, dynamic_shapes=spec, **_sooner())
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"{path.name}: torch.export cannot follow the net: {error}") from error
    content = io.BytesIO()  # of a disk that is full PyTorch's own writer says nothing
    torch.export.save(program, content)
    path.write_bytes(content.getbuffer())


def _sooner() -> dict[str, Any]:
    """Checks of sizes wait until the program runs, where this torch can: proving them takes longer."""
    name = "prefer_deferred_runtime_asserts_over_guards"
    return {name: True} if name in inspect.signature(torch.export.export).parameters else {}


@contextmanager
def quiet() -> Iterator[None]:
    """Without what torch logs of inequalities that it leaves unsolved: sizes of pooled maps are such."""
    log = logging.getLogger("torch.fx.experimental.symbolic_shapes")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


def load(net: Graph, path: Path) -> Callable[[Mapping[str, np.ndarray]], list[np.ndarray]]:
    """The outputs of the program, in the order of the net's."""
    module: Any = torch.export.load(path).module()

    def run(inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        with torch.no_grad():
            found = module(*[torch.from_numpy(value) for value in inputs.values()])
        values = found.values() if isinstance(found, dict) else (found,)
        return [value.numpy() for value in values]

    return run
