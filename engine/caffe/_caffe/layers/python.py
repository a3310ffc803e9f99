"""Python: a layer written by the user."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import LayerError
from ..layer import Layer
from ..registry import register

if TYPE_CHECKING:
    from ...proto.caffe_pb2 import LayerParameter


@register("Python")
class PythonLayer(Layer):
    """Caffe's Python layer: an instance of the user's class, found by module and name.

    The module must be importable, as in Caffe; nothing is searched for or evaluated. What the class's
    own methods raise reaches the caller unchanged.

    Raises:
        LayerError: the module cannot be imported, has no such class, or it is no `caffe.Layer`.
    """

    brings_data = True
    reads = ("python_param",)
    without_effect = ("python_param.share_in_parallel",)

    def __new__(cls, layer_param: LayerParameter) -> Layer:  # type: ignore[misc]
        where = f"layer '{layer_param.name}' (Python)"
        user_class = _find(layer_param.python_param.module, layer_param.python_param.layer, where)
        try:
            layer = user_class(layer_param)
        except Exception as error:
            raise LayerError(
                f"{where}: {user_class.__qualname__}(layer_param) raised {type(error).__name__}: {error}; "
                "a Python layer does its work in setup() and defines no __init__ of its own"
            ) from error
        if "layer_param" not in vars(layer):
            Layer.__init__(layer, layer_param)
        for method in ("forward", "backward"):
            if getattr(user_class, method) is getattr(Layer, method):
                setattr(layer, method, _absent(user_class, method))
        return layer


def _find(module: str, name: str, where: str) -> type[Layer]:
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, SyntaxError, ValueError) as error:
        beside = f"; {module}.py is here, in {Path.cwd()}" if Path(f"{module}.py").exists() else ""
        raise LayerError(
            f"{where}: cannot import module '{module}' ({type(error).__name__}: {error}){beside}. "
            f"Put its folder on PYTHONPATH; searched: {', '.join(p or '.' for p in sys.path)}"
        ) from error
    except AttributeError as error:
        raise LayerError(f"{where}: module '{module}' has no class '{name}'") from error
    if not (isinstance(found, type) and issubclass(found, Layer)):
        raise LayerError(f"{where}: {module}.{name} is not a subclass of caffe.Layer")
    return found


def _absent(user_class: type, method: str) -> Callable[..., None]:
    def missing(*args: object) -> None:
        raise AttributeError(f"'{user_class.__name__}' object has no attribute '{method}'")

    return missing
