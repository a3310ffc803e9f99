"""Which of the ways to read and write videos is there."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from voc_layers.reading import SampleError

from .film import Backend, Put

NEEDED = "pip install 'caffe-fcn[video]'"


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
