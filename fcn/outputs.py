"""Files written: none in the place of what it is made from, none half, none lost when the power goes."""

from __future__ import annotations

import errno
import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from voc_layers.reading import SampleError

#: What is on its way to NAME is called .NAME.PID.tmp, after the process.
_ASIDE = re.compile(r"\..+\.(\d+)\.tmp")
#: Seconds after which such a file belongs to nobody, if its process is not here either: it may be elsewhere,
#: where the disk is shared.
_ABANDONED = 3600
#: What helps against what a disk says.
_HELP = {
    errno.ENOSPC: "make room there, or choose another place",
    errno.EDQUOT: "make room there, or choose another place",
    errno.EFBIG: "the disk or a limit (ulimit -f) allows no larger file; choose another place",
    errno.EROFS: "choose a place that can be written to",
    errno.EIO: "the disk or the way to it is damaged; choose another place",
}


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


def told(error: OSError) -> str:
    """What went wrong, in a line: the file, the system's reason, and what helps, where that is known."""
    if not error.strerror:
        return str(error)
    named, help_ = _named(error), _HELP.get(error.errno or 0)
    return f"{f'{named}: ' if named is not None else ''}{error.strerror}{f'; {help_}' if help_ else ''}"


def aside(path: Path) -> Path:
    """What `path` is called while this process makes it."""
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


@contextmanager
def replacing(path: Path, lasting: bool = True) -> Iterator[Path]:
    """Give a temporary name in the folder of `path`; what was written there becomes `path` at the end.

    A failure leaves what was there before. What processes left there that were killed is removed.

    Args:
        lasting: it is on the disk before it gets its name, so that the power may go at any moment. What is
            made anew in no time does not have to be.

    Raises:
        OSError: it cannot be written; names `path`.
    """
    temporary = aside(path)
    sweep(path.parent)
    try:
        with written(path, temporary):
            yield temporary
            if lasting:
                flush(temporary)
            temporary.replace(path)
            if lasting:
                flush(path.parent)
    finally:
        with suppress(OSError):  # the disk that failed before
            temporary.unlink(missing_ok=True)


@contextmanager
def making(path: Path) -> Iterator[Path]:
    """Give a new folder beside `path`, for what shall take its place; at the end it is removed.

    So is what processes left there that were killed.

    Raises:
        OSError: something cannot be written there; names `path`.
    """
    folder = aside(path)
    sweep(path.parent)
    try:
        with written(path, folder):
            folder.mkdir()
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def written(path: Path, temporary: Path | None = None) -> Iterator[None]:
    """What is inside writes `path`, by way of `temporary`, a file or folder: OSErrors of it name `path`."""
    try:
        yield
    except OSError as error:
        named = _named(error)
        own = [made for made in (path, temporary) if made is not None]
        if error.errno is None or not (named is None or any(Path(named).is_relative_to(one) for one in own)):
            raise  # of something that was read for it
        raise OSError(error.errno, error.strerror, str(path)) from error


def _named(error: OSError) -> str | os.PathLike[str] | None:
    """The file that an error names; of two the one that was written."""
    named = error.filename if error.filename2 is None else error.filename2
    return named if isinstance(named, (str, os.PathLike)) else None


@cache
def sweep(folder: Path) -> None:
    """Remove what processes that were killed had on its way in a folder; once in this process.

    An hour has to have passed since: another computer that shares the disk may be writing.
    """
    with suppress(OSError):
        for entry in os.scandir(folder):
            found = _ASIDE.fullmatch(entry.name)
            if found and not _is_running(int(found[1])) and time.time() - entry.stat().st_mtime > _ABANDONED:
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path, ignore_errors=True)
                else:
                    os.unlink(entry.path)


def _is_running(process: int) -> bool:
    """Whether there is a process of this number here; True where that is not to be told."""
    if os.name != "posix":  # there the call below would end it
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        pass
    return True


def replace_text(path: Path, text: str) -> None:
    """Write a text file as `replacing` does.

    Raises:
        OSError: it cannot be written; names the file.
    """
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


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
