"""Files: their names, whether they can be read, and writing one so that it is either whole or not there."""

from __future__ import annotations

import codecs
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from ..errors import CaffeError, DataError, WeightsError


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


#: Bytes of a text, as of a list with millions of names; of a message, protobuf's own limit.
TEXT, MESSAGE = 1 << 28, (1 << 31) - 1


def check_size(path: str | os.PathLike[str], file: BinaryIO, most: int) -> None:
    """Raise DataError where a file is far larger than one of its kind can be: a sparse one takes no disk."""
    size = os.fstat(file.fileno()).st_size
    if size > most:
        raise DataError(f"'{os.fspath(path)}' has {size:,} bytes; expected at most {most:,}")


def read_list(path: str) -> str:
    """A list of files as text: UTF-8, or UTF-16 with the mark that Windows puts at its start.

    A mark is no part of the first name. Bytes of another encoding stay in the names of the files.

    Raises:
        OSError: the file cannot be read. DataError: it is no text, or far too large.
    """
    with open(path, "rb") as file:
        check_size(path, file, TEXT)
        data = file.read()
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        text = data.decode("utf-16", "replace")
    else:
        text = data.decode("utf-8-sig", "surrogateescape")
    if "\0" in text:
        raise DataError(f"'{path}' has bytes that are zero: save the list as UTF-8")
    return text


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
        _flush_names(final.parent)
    except OSError as error:
        if not final.parent.is_dir():
            raise WeightsError(f"cannot write '{path}': there is no folder '{final.parent}'") from error
        raise WeightsError(f"cannot write '{path}': {error.strerror or error}") from error
    finally:
        with suppress(OSError):  # the disk that failed before
            temporary.unlink(missing_ok=True)


def _flush_names(folder: Path) -> None:
    """Have the names in a folder on the disk, where its file system can do that for folders."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(number)


@contextmanager
def replacing_stream(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """`replacing`, with the temporary file already open for writing bytes."""
    with replacing(path) as temporary, open(temporary, "wb") as file:
        yield file
