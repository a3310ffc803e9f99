"""Files written: none in the place of what it is made from, none half, none lost when the power goes."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from voc_layers.reading import SampleError


def refuse_inputs(outputs: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Raise SampleError where an output is one of the inputs, by whatever path or link it is reached."""
    read = {identity: path for path in inputs if (identity := _identity(path))}
    for output in outputs:
        identity = _identity(output)
        if identity in read:
            raise SampleError(
                f"{output} would replace {read[identity]}, which is read here; choose another folder or name "
                "for the output"
            )


def check_folder(folder: Path) -> None:
    """See that files can be written into a folder, or that it can be made, before the work that leads to it.

    Raises:
        SampleError: there is a file in its place or above it, or one may not write there.
    """
    there = next(path for path in (folder, *folder.absolute().parents) if os.path.lexists(path))
    if not there.is_dir():
        raise SampleError(f"{folder}: expected a folder to write into, but {there} is none")
    if not os.access(there, os.W_OK | os.X_OK):
        raise SampleError(f"{folder}: expected a folder to write into, but there is no permission in {there}")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name in the folder of `path`; what was written there becomes `path` at the end.

    It is on the disk before it gets its name: a crash leaves the old file or the new one, a failure the old.

    Raises:
        OSError: it cannot be written; names `path`.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        flush(temporary)
        temporary.replace(path)
        flush(path.parent)
    except OSError as error:
        if error.errno is None or error.filename not in (None, str(temporary), temporary):
            raise  # of something that was read for it
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)


def replace_text(path: Path, text: str) -> None:
    """Write a text file as `replacing` does.

    Raises:
        OSError: it cannot be written; names the file.
    """
    with replacing(path) as temporary:
        temporary.write_text(text)


def flush(path: Path) -> None:
    """Have a file, or the names in a folder, on the disk before anything further happens."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    except OSError as error:
        if error.errno != errno.EINVAL:  # of a file system that cannot do this for folders
            raise
    finally:
        os.close(number)


def _identity(path: Path) -> tuple[int, int] | None:
    """Device and number of a file; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
