"""Room on the disk, before it is needed."""

from __future__ import annotations

import shutil
from pathlib import Path

from .source import megabytes


class NoSpace(OSError):
    """The disk is too full for what is to be written."""


def require_space(folder: Path, size: int) -> None:
    """Raise NoSpace where `size` more bytes do not fit into a folder."""
    free = shutil.disk_usage(folder).free
    if size > free:
        raise NoSpace(f"{folder}: {megabytes(size)} more are needed, and {megabytes(free)} are free")
