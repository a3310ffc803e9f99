"""Moving pictures, frame by frame: a video or a camera in, label maps and an overlay video out."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

import numpy as np

from voc_layers.reading import SampleError

#: What a text that names other files starts with: decoders follow such a list to wherever it leads.
LISTS = (b"#EXTM3U", b"ffconcat")
NEEDED = "pip install 'caffe-fcn[video]'"


class Film(Protocol):
    """A video that is open for reading.

    fps: frames in a second.
    """

    fps: float

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


def backend() -> Backend:
    """OpenCV, or the program ffmpeg where only that is there.

    Raises:
        SampleError: neither is; how to get one.
    """
    if importlib.util.find_spec("cv2"):
        from . import opencv

        return opencv
    if shutil.which("ffmpeg"):
        from . import ffmpeg

        return ffmpeg
    raise SampleError(f"videos need OpenCV ({NEEDED}) or the program ffmpeg")


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


@contextmanager
def film_file(way: Backend, path: Path, fps: float) -> Iterator[Put]:
    """A video that is written, and becomes `path` at the end, also where the work is stopped by Ctrl-C."""
    partial = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")  # the end says what it is
    try:
        with way.writing(partial, fps) as put:
            yield put
    finally:
        if partial.exists():
            partial.replace(path)
