"""Write the prototxts of some or all models."""

from __future__ import annotations

from collections.abc import Sequence

from nets.__main__ import arguments
from nets.__main__ import main as write_nets

__all__ = ["arguments", "main"]


def main(argv: Sequence[str] | None = None, prog: str = "fcn nets") -> int:
    """Write what the arguments name; returns the exit status."""
    return write_nets(argv, prog)
