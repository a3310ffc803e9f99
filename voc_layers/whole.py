"""Reading all of a file, unless it is far larger than one of its kind can be: a sparse one takes no disk."""

from __future__ import annotations

import os
from pathlib import Path

#: Bytes of a text, as of a list with millions of names.
TEXT = 1 << 28


def read_whole(path: str | Path, most: int = TEXT) -> bytes:
    """All of a file.

    Raises:
        ValueError: it has more than `most` bytes; nothing of it was read.
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            raise ValueError(f"{path}: expected at most {most:,} bytes, found {size:,}")
        return file.read()
