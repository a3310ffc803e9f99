"""Room on the disk, before it is needed."""

from __future__ import annotations

import shutil
from pathlib import Path

from .source import FetchError, megabytes


def require_space(folder: Path, size: int) -> None:
    """Raise FetchError where `size` more bytes do not fit into a folder."""
    free = shutil.disk_usage(folder).free
    if size > free:
        raise FetchError(f"{folder}: {megabytes(size)} more are needed, and {megabytes(free)} are free")
