"""Many images and videos through one net: what is written for each, in this process or in several."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PIL import Image

from voc_layers.reading import ClassList

from ..figures import shares
from ..outputs import told
from ..trained import Trained
from . import page, pictures, scores
from .films import FILM_END, segment_film, watch
from .images import allowing, is_turned, is_video
from .model import Model, geometry
from .said import Said, labelings
from .tiles import Tiling
from .wishes import Done, Wishes


@dataclass(frozen=True)
class Batch:
    """What is asked of every file. Travels to other processes.

    Attributes:
        computing: inside of it caffe computes on the device that is meant.
    """

    trained: Trained
    listed: ClassList
    wishes: Wishes
    computing: Callable[[], AbstractContextManager[None]]

    def said(self) -> list[Said]:
        """What the net says of a pixel."""
        return labelings(self.trained, self.listed.names)

    def outputs(self, files: Sequence[Path]) -> list[Path]:
        """What will be written.

        Raises:
            SampleError: two files would get the same name.
        """
        out, ends = self.wishes.out, [one.end for one in self.said()]
        films = [path for path in files if is_video(path)]
        images = [path for path in files if not is_video(path)]
        return [
            *pictures.outputs(images, out, [f"{end}{kind}" for end in ends for kind in self.wishes.ends()]),
            *pictures.outputs(films, out, [f"{end}{kind}" for end in ends for kind in ("", FILM_END)]),
        ]

    @contextmanager
    def opened(self) -> Iterator[Callable[[Path], Done]]:
        """The worker of a process: segments a file, with the net that is loaded here.

        Raises:
            ValueError, RuntimeError: the net cannot be loaded, or not computed as is asked.
        """
        with self.computing(), allowing(self.wishes.pixels):
            model = Model.of(self.trained, self.listed)
            yield partial(self._segment, model, self.tiling())

    def watched(self, camera: int) -> Iterator[Path]:
        """The label maps of what a camera sees, as they are written; see `fcn.infer.films.watch`."""
        with self.computing():
            model = Model.of(self.trained, self.listed)
            yield from watch(model, camera, self.wishes, self.tiling())

    def tiling(self) -> Tiling | None:
        """The tiles that are wished for.

        Raises:
            SampleError: they are too small, or the net cannot be computed in parts.
        """
        tile, overlap = self.wishes.tile, self.wishes.overlap
        return Tiling(geometry(self.trained), tile, overlap) if tile else None

    def _segment(self, model: Model, tiling: Tiling | None, path: Path) -> Done:
        """What became of a file; a problem with it is told and not raised, as the others may be well."""
        segment = segment_film if is_video(path) else segment_image
        try:
            return segment(model, path, self.wishes, tiling)
        except (ValueError, RuntimeError, OSError, MemoryError) as error:
            text = told(error) if isinstance(error, OSError) else str(error) or "not enough memory"
            large = isinstance(error.__cause__, Image.DecompressionBombError)
            hint = "; if you trust the file, --max-pixels N lets it be decoded" if large else ""
            return Done(path, problem=(text if str(path) in text else f"{path}: {text}") + hint)


def segment_image(model: Model, path: Path, wishes: Wishes, tiling: Tiling | None = None) -> Done:
    """Segment an image and write what is wished for.

    Raises:
        ValueError, RuntimeError, OSError: it cannot be read, computed or written.
    """
    views = model.views([path], wishes.upright)
    with ExitStack() as stack:
        files = [
            stack.enter_context(_score_file(path, wishes, one, views[0].shape[:2]))
            for one in (model.said if wishes.scores else ())
        ]
        labels = model.labels(views, tiling, [file.put for file in files])
    for label, one in zip(labels, model.said):
        pictures.write(f"{path.stem}{one.end}", wishes.out, views[0], label, one.classes, wishes.alpha)
    if wishes.page:
        page.write_small(views[0], wishes.out / f"{path.stem}{page.ENDS[0]}")
    turned = not wishes.upright and is_turned(path)
    found = [shares(label, one.classes) for label, one in zip(labels, model.said)]
    return Done(path, found, turned=turned)


def _score_file(
    path: Path, wishes: Wishes, one: Said, shape: Sequence[int]
) -> AbstractContextManager[scores.ScoreFile]:
    file = wishes.out / f"{path.stem}{one.end}{scores.ENDS[0]}"
    return scores.score_file(file, shape, one.classes, str(wishes.scores))
