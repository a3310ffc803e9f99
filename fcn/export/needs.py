"""What an export needs besides this package, and how to get it."""

from __future__ import annotations

import importlib.util
import shutil


def need(package: str, what: str, how: str) -> None:
    """Raise ValueError saying `how` to get a Python package that is not there."""
    if importlib.util.find_spec(package) is None:
        raise ValueError(f"{what} needs the Python package {package}: {how}")


def need_program(names: tuple[str, ...], what: str, how: str) -> str:
    """The path of the first program that is there; ValueError saying `how` to get one."""
    for name in names:
        found = shutil.which(name)
        if found:
            return found
    raise ValueError(f"{what} needs the program {' or '.join(names)}: {how}")
