"""Two phases, and messages by any name that can be made but hold nothing."""

from __future__ import annotations

from typing import Any

TRAIN, TEST = 0, 1


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(name)
    return type(name, (), {})
