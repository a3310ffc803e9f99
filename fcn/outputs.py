"""Outputs that would replace what they are made from."""

from __future__ import annotations

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


def _identity(path: Path) -> tuple[int, int] | None:
    """Device and number of a file; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
