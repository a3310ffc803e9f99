"""Videos through the program ffmpeg, for where OpenCV is missing: frames come and go through pipes."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from voc_layers.reading import SampleError

from .film import Put, check_file

#: Reads files alone, whatever a container refers to, and says only what is wrong.
READING = ("ffmpeg", "-v", "error", "-nostdin", "-protocol_whitelist", "file,pipe", "-i")
#: The line that a stream of YUV4MPEG2 starts with: width, height, frames in a second.
HEADER = re.compile(rb"YUV4MPEG2 W(\d+) H(\d+) F(\d+):(\d+)")


class Stream:
    """A video that ffmpeg decodes; see `fcn.infer.video.film.Film`."""

    def __init__(self, path: Path, shape: tuple[int, int], fps: float) -> None:
        self._path, self._shape, self.fps = path, (*shape, 3), fps
        self.length = _expected(path)
        self._said = ""

    def frames(self) -> Iterator[np.ndarray]:
        """The frames, uint8 H x W x 3, RGB, until there is none."""
        size = int(np.prod(self._shape))
        command = [*READING, f"file:{self._path}", "-f", "rawvideo", "-pix_fmt", "rgb24", "pipe:1"]
        with tempfile.TemporaryFile() as said:
            with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said) as process:
                assert process.stdout
                try:
                    while len(data := process.stdout.read(size)) == size:
                        yield np.frombuffer(data, np.uint8).reshape(self._shape)
                finally:
                    process.terminate()
            said.seek(0)
            self._said = said.readline().decode(errors="replace").strip()

    def problem(self, found: int) -> str | None:
        """Frames that are missing, or the first thing that ffmpeg complained of."""
        if self._said or found + 1 < self.length:
            why = f" ({self._said})" if self._said else ""
            return f"{found} of {self.length or 'more'} frames decode; the file is damaged or cut off{why}"
        return None


def _expected(path: Path) -> int:
    """How many frames a file says it has, by the program ffprobe; 0 where it does not say so."""
    if not shutil.which("ffprobe"):
        return 0
    asked = ["-v", "error", "-select_streams", "v:0", "-show_entries", "stream=nb_frames", "-of", "csv=p=0"]
    done = subprocess.run(["ffprobe", *asked, f"file:{path}"], capture_output=True, text=True)
    first = (done.stdout.split() or [""])[0].strip(",")
    return int(first) if first.isdigit() else 0


@contextmanager
def opened(path: Path) -> Iterator[Stream]:
    """A video file.

    Raises:
        SampleError: it is none.
    """
    check_file(path)
    command = [
        *READING,
        f"file:{path}",
        "-frames:v",
        "1",
        "-f",
        "yuv4mpegpipe",
        "-pix_fmt",
        "yuv420p",
        "pipe:1",
    ]
    done = subprocess.run(command, capture_output=True)
    found = HEADER.match(done.stdout)
    if not found:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        why = lines[-1] if lines else "no picture in it"
        raise SampleError(f"{path}: expected a video, found a file that does not decode ({why})")
    width, height, count, seconds = map(int, found.groups())
    yield Stream(path, (height, width), count / seconds)


@contextmanager
def writing(path: Path, fps: float) -> Iterator[Put]:
    """A video (MPEG-4) of the frames that are put, of the size of the first.

    Raises:
        SampleError: ffmpeg cannot write it.
    """
    writers: list[subprocess.Popen[bytes]] = []

    def put(frame: np.ndarray) -> None:
        if not writers:
            writers.append(_writer(path, fps, frame.shape))
        try:
            _input(writers[0]).write(frame.tobytes())
        except BrokenPipeError as error:
            raise SampleError(f"{path}: ffmpeg cannot write a video there") from error

    try:
        yield put
    finally:
        for writer in writers:
            _close(writer)


def _writer(path: Path, fps: float, shape: tuple[int, ...]) -> subprocess.Popen[bytes]:
    pictures = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{shape[1]}x{shape[0]}", "-r", f"{fps:.6f}"]
    command = ["ffmpeg", "-v", "error", "-y", *pictures, "-i", "pipe:0", "-c:v", "mpeg4", "-q:v", "3"]
    return subprocess.Popen([*command, f"file:{path}"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)


def _input(process: subprocess.Popen[bytes]) -> IO[bytes]:
    assert process.stdin
    return process.stdin


def _close(process: subprocess.Popen[bytes]) -> None:
    try:
        _input(process).close()
    except BrokenPipeError:
        pass  # it has ended before; whoever wrote to it knows
    process.wait()
