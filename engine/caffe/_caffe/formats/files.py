"""Files: their names, whether they can be read, and writing one so that it is either whole or not there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ..errors import CaffeError, WeightsError


def name(path: object) -> str:
    """A file name as text.

    Raises:
        TypeError: `path` is no file name.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"a file name is needed, not {type(path).__name__}")
    return os.fspath(path)


def could_not_open(path: str | os.PathLike[str], error: OSError) -> str:
    """pycaffe's words, the reason, and the folder that a relative path was looked for in."""
    place = "" if os.path.isabs(path) else f", as seen from '{os.getcwd()}'"
    return f"Could not open file {os.fspath(path)}: {error.strerror}{place}"


def check_readable(path: str) -> None:
    """Raise CaffeError unless the file can be opened."""
    try:
        with open(path, "rb"):
            pass
    except OSError as error:
        raise CaffeError(could_not_open(path, error)) from error


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary name in the folder of `path`; what was written there becomes `path` at the end.

    The file is flushed to disk before it is renamed, so a crash leaves the old file or the new one. If
    the body fails the temporary file is removed and `path` is as it was.

    Raises:
        WeightsError: the file cannot be written (no such folder, no rights, disk full, ...).
    """
    final = Path(os.path.realpath(path))
    temporary = final.with_name(f".{final.name}.{os.getpid()}.tmp")
    try:
        if final.exists() and not final.is_file():
            raise WeightsError(f"cannot write '{path}': it exists and is not a regular file")
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, final)
    except OSError as error:
        if not final.parent.is_dir():
            raise WeightsError(f"cannot write '{path}': there is no folder '{final.parent}'") from error
        raise WeightsError(f"cannot write '{path}': {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing_stream(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """`replacing`, with the temporary file already open for writing bytes."""
    with replacing(path) as temporary, open(temporary, "wb") as file:
        yield file
