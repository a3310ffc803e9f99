"""Videos and cameras through OpenCV, the extra `video`. Loaded where one is read."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from voc_layers.reading import SampleError

from .film import Put, check_file

#: Frames in a second where a file does not say it, or says nonsense.
USUAL, MOST = 25.0, 1000.0


class Capture:
    """A video or a camera that is open; see `fcn.infer.video.film.Film`."""

    def __init__(self, capture: cv2.VideoCapture) -> None:
        self._capture = capture
        fps = capture.get(cv2.CAP_PROP_FPS)
        self.fps = float(fps) if math.isfinite(fps) and 0 < fps <= MOST else USUAL
        count = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.length = int(count) if math.isfinite(count) and count > 0 else 0

    def frames(self) -> Iterator[np.ndarray]:
        """The frames, uint8 H x W x 3, RGB, until there is none."""
        while True:
            there, frame = self._capture.read()
            if not there:
                return
            yield np.ascontiguousarray(frame[..., ::-1])

    def problem(self, found: int) -> str | None:
        """Frames that are missing. A container may be off by one, and some say nothing."""
        if found + 1 < self.length:
            return f"{found} of {self.length} frames decode; the file is damaged or cut off"
        return None


@contextmanager
def opened(path: Path) -> Iterator[Capture]:
    """A video file.

    Raises:
        SampleError: it is none.
    """
    check_file(path)
    # As a file and by FFmpeg alone: OpenCV takes names for patterns and addresses too.
    with _capturing(f"file:{path.absolute()}", cv2.CAP_FFMPEG) as capture:
        if not capture.isOpened():
            raise SampleError(f"{path}: expected a video, found a file that does not decode")
        yield Capture(capture)


@contextmanager
def camera(number: int) -> Iterator[Capture]:
    """A camera of this machine.

    Raises:
        SampleError: there is none of that number, or it gives no pictures.
    """
    with _capturing(number) as capture:
        if not capture.isOpened():
            raise SampleError(
                f"camera {number}: found none that opens; is it there, free, and may you read it?"
            )
        yield Capture(capture)


@contextmanager
def writing(path: Path, fps: float) -> Iterator[Put]:
    """A video (MPEG-4) of the frames that are put, of the size of the first.

    Raises:
        SampleError: OpenCV cannot write it.
    """
    writers: list[cv2.VideoWriter] = []

    def put(frame: np.ndarray) -> None:
        if not writers:
            height, width = frame.shape[:2]
            code = cv2.VideoWriter.fourcc(*"mp4v")
            writers.append(cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, code, fps, (width, height)))
            if not writers[0].isOpened():
                raise SampleError(f"{path}: OpenCV cannot write a video there")
        writers[0].write(np.ascontiguousarray(frame[..., ::-1]))

    try:
        yield put
    finally:
        for writer in writers:
            writer.release()


@contextmanager
def _capturing(source: str | int, *way: int) -> Iterator[cv2.VideoCapture]:
    """A capture that is open inside, or not; what OpenCV itself says of that is not shown."""
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    capture = cv2.VideoCapture(source, *way)
    try:
        yield capture
    finally:
        capture.release()
