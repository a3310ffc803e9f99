"""Videos and cameras, segmented a frame at a time."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from PIL import Image

from voc_layers.reading import SampleError

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
    total = np.zeros(len(model.classes))
    with way.opened(path) as film, ExitStack() as stack:
        puts: list[Put] = []
        for one in model.said:
            file = wishes.out / f"{path.stem}{one.end}{FILM_END}"
            puts.append(stack.enter_context(film_file(way, file, film.fps)))
        for count, frame in enumerate(film.frames(), 1):
            for label, one, put in zip(model.labels([frame], tiling), model.said, puts):
                pictures.write_frame(label, wishes.out / f"{path.stem}{one.end}", count)
                put(pictures.blend(frame, label, one.classes, wishes.alpha))
                if not one.end:
                    total += np.bincount(label.ravel(), minlength=len(total))[: len(total)]
        problem = film.problem(count)
    if not count:
        raise SampleError(f"{path}: expected a video, found no frame that decodes")
    found = {model.classes[k]: total[k] / total.sum() for k in np.argsort(-total, kind="stable") if total[k]}
    return Done(path, found, count, problem=f"{path}: {problem}" if problem else None)


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
                yield pictures.write_frame(label, folder, count)
                blended = pictures.blend(frame, label, one.classes, wishes.alpha)
                Image.fromarray(blended).save(folder / f"{count:06d}_overlay.png")
    raise SampleError(f"camera {number}: gives no more pictures")
