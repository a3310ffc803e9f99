"""The door of the commands: they run the engine that lies beside this file.

`import caffe` gives whatever comes first on Python's path, which PYTHONPATH may have made another Caffe's
pycaffe. A command that pip installed is this engine's all the same, so it enters here, under a name that no
other Caffe has. `python -m caffe_command ...` is the same as `caffe ...`.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

_FOLDER = Path(__file__).resolve().parent / "caffe"


def _load() -> ModuleType:
    """The engine, as the `caffe` of this process."""
    present = sys.modules.get("caffe")
    if present is not None:
        where = getattr(present, "__file__", None)
        if where is None or Path(where).resolve().parent != _FOLDER:
            sys.exit(
                f"the caffe in {where} is loaded already, so the one in {_FOLDER} cannot be: see PYTHONPATH"
            )
        return present
    spec = importlib.util.spec_from_file_location(
        "caffe", _FOLDER / "__init__.py", submodule_search_locations=[str(_FOLDER)]
    )
    if spec is None or spec.loader is None:
        sys.exit(f"there is no caffe in {_FOLDER}: install the package again")
    module = importlib.util.module_from_spec(spec)
    sys.modules["caffe"] = module
    spec.loader.exec_module(module)
    return module


# At import, so that the processes which `caffe train -gpu 0,1` starts have it too.
_load()


def main() -> int:
    """`caffe ...`"""
    return int(importlib.import_module("caffe.__main__").main())


def __getattr__(name: str) -> Callable[[], int]:
    """The tool of that name, as a function of the process's arguments: `convert_imageset` and the others."""
    tools: dict[str, tuple[str, str]] = importlib.import_module("caffe.__main__").TOOLS
    if name not in tools:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    module, _, function = tools[name][0].partition(":")
    tool: Callable[[], int] = getattr(importlib.import_module(f"caffe.tools.{module}"), function)
    return tool


if __name__ == "__main__":
    sys.exit(main())
