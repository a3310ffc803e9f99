"""Class scores as a file, written part by part: NAME_scores.npz."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from ..outputs import aside, replacing, written
from .tiles import Place, everywhere

#: What scores are stored as.
TYPES = ("float32", "float16")
ENDS = ("_scores.npz",)
_CHUNK = 1 << 20


class ScoreFile:
    """Scores of one image, K x H x W, as they come."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def put(self, place: Place, scores: np.ndarray) -> None:
        """Store the scores of some pixels, K x H x W.

        Raises:
            ValueError: a score beyond what float16 holds.
        """
        most = np.finfo(self.array.dtype).max
        if np.abs(scores).max(initial=0) > most:
            raise ValueError(f"scores above {most:g}, the most that {self.array.dtype} holds: store float32")
        self.array[everywhere(place)] = scores


@contextmanager
def score_file(
    path: Path, shape: Sequence[int], classes: Sequence[str], dtype: str = "float32"
) -> Iterator[ScoreFile]:
    """A .npz that becomes `path` at the end: `scores`, K x H x W, and the names in `classes`.

    Until then the scores lie on the disk, in a file beside it, and not in memory.

    Raises:
        OSError: there is no room for them; names `path`.
    """
    with replacing(path) as temporary:
        raw = aside(path.with_suffix(".npy"))
        try:
            with written(path, raw):
                array = np.lib.format.open_memmap(raw, "w+", np.dtype(dtype), (len(classes), *shape))
                _reserve(raw)
            yield ScoreFile(array)
            array.flush()
            # Entries without a date: the same scores give the same bytes.
            with zipfile.ZipFile(temporary, "w") as archive:
                entry = zipfile.ZipInfo("scores.npy")
                with raw.open("rb") as whole, archive.open(entry, "w", force_zip64=True) as stored:
                    shutil.copyfileobj(whole, stored, _CHUNK)
                with archive.open(zipfile.ZipInfo("classes.npy"), "w") as names:
                    np.lib.format.write_array(names, np.array(list(classes)), allow_pickle=False)
        finally:
            with suppress(OSError):
                raw.unlink(missing_ok=True)


def _reserve(path: Path) -> None:
    """Have room on the disk for all of a file: without it writing to its memory would end the process."""
    if hasattr(os, "posix_fallocate"):  # not on macOS, nor on Windows
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
