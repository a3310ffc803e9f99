"""Outputs that would replace what they are made from."""

from __future__ import annotations

import os
from collections.abc import Iterable
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


def _identity(path: Path) -> tuple[int, int] | None:
    """Device and number of a file; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
