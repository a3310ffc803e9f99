"""What a way to read and write videos offers, and what a file has to be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import numpy as np

from voc_layers.reading import SampleError

#: What a text that names other files starts with: decoders follow such a list to wherever it leads.
LISTS = (b"#EXTM3U", b"ffconcat")


class Film(Protocol):
    """A video that is open for reading.

    fps: frames in a second. length: how many frames it says it has; 0 where it does not say so.
    """

    fps: float
    length: int

    def frames(self) -> Iterator[np.ndarray]:
        """The frames, uint8 H x W x 3, RGB, one at a time."""
        ...

    def problem(self, found: int) -> str | None:
        """What is wrong with the file, after its frames were read and there were so many; None if nothing."""
        ...


#: Takes a frame, uint8 H x W x 3, RGB.
Put = Callable[[np.ndarray], None]


class Backend(Protocol):
    """A way to read and write videos."""

    def opened(self, path: Path) -> AbstractContextManager[Film]: ...

    def writing(self, path: Path, fps: float) -> AbstractContextManager[Put]: ...


def check_file(path: Path) -> None:
    """See that there is a file, and no list of others.

    Raises:
        SampleError: it is not so.
    """
    if not path.is_file():
        raise SampleError(f"{path}: expected a video, found {'a folder' if path.is_dir() else 'nothing'}")
    with path.open("rb") as file:
        if file.read(16).lstrip().startswith(LISTS):
            raise SampleError(f"{path}: expected a video, found a list of other files")
