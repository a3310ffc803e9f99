"""Videos and cameras, segmented a frame at a time."""

from __future__ import annotations

import importlib.util
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from voc_layers.reading import SampleError

from ..figures import save_picture
from ..waiting import progress
from . import pictures
from .model import Model
from .tiles import Tiling
from .video.choice import NEEDED, backend, film_file
from .video.film import Put
from .wishes import Done, Wishes

#: What the overlay of a video is called.
FILM_END = "_overlay.mp4"


def segment_film(model: Model, path: Path, wishes: Wishes, tiling: Tiling | None = None) -> Done:
    """Segment a video, a frame at a time: a label map for each, NAME/000001.png on, and NAME_overlay.mp4.

    Raises:
        ValueError, RuntimeError, OSError: it cannot be read, computed or written. What was, is kept.
    """
    model.require_photographs()
    way, count = backend(), 0
    totals = [np.zeros(len(one.classes)) for one in model.said]
    with way.opened(path) as film, ExitStack() as stack:
        puts: list[Put] = []
        for one in model.said:
            file = wishes.out / f"{path.stem}{one.end}{FILM_END}"
            puts.append(stack.enter_context(film_file(way, file, film.fps)))
        for count, frame in enumerate(progress(film.frames(), path.name, film.length or None, "frames"), 1):
            for label, one, put, total in zip(model.labels([frame], tiling), model.said, puts, totals):
                pictures.write_frame(label, wishes.out / f"{path.stem}{one.end}", count)
                put(pictures.blend(frame, label, one.classes, wishes.alpha))
                total += np.bincount(label.ravel(), minlength=len(total))[: len(total)]
        problem = film.problem(count)
    if not count:
        raise SampleError(f"{path}: expected a video, found no frame that decodes")
    found = [_shares(total, one.classes) for total, one in zip(totals, model.said)]
    return Done(path, found, count, problem=f"{path}: {problem}" if problem else None)


def _shares(pixels: np.ndarray, classes: Sequence[str]) -> dict[str, float]:
    """Class -> its part of all pixels, largest first; absent classes are left out."""
    order = np.argsort(-pixels, kind="stable")
    return {classes[k]: float(pixels[k] / pixels.sum()) for k in order if pixels[k]}


def watch(model: Model, number: int, wishes: Wishes, tiling: Tiling | None = None) -> Iterator[Path]:
    """Segment what a camera sees until nobody asks for more: the label map of each frame, in `cameraN`.

    For 000001.png, 000001_overlay.png lies beside it.

    Raises:
        SampleError: there is no such camera, or it has stopped.
    """
    model.require_photographs()
    if not importlib.util.find_spec("cv2"):
        raise SampleError(f"cameras need OpenCV: {NEEDED}")
    from .video.opencv import camera

    with camera(number) as source:
        for count, frame in enumerate(source.frames(), 1):
            for label, one in zip(model.labels([frame], tiling), model.said):
                folder = wishes.out / f"camera{number}{one.end}"
                blended = pictures.blend(frame, label, one.classes, wishes.alpha)
                with _whole():
                    path = pictures.write_frame(label, folder, count)
                    save_picture(Image.fromarray(blended), folder / f"{count:06d}_overlay.png")
                    yield path
    raise SampleError(f"camera {number}: gives no more pictures")


@contextmanager
def _whole() -> Iterator[None]:
    """Ctrl-C is heard after what is inside: a label map has its overlay and is counted, or is not there."""
    if threading.current_thread() is not threading.main_thread():  # which alone hears it
        yield
        return
    heard: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: heard.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if heard:
        raise KeyboardInterrupt
