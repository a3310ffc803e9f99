"""Predictions of images that need no label maps, written where a submission wants them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from voc_layers.facts import VOC_CLASSES
from voc_layers.files import LABEL_SUFFIXES, Files
from voc_layers.folder import VocFolder
from voc_layers.reading import SampleError, read_label_png

from ..outputs import check_folder, refuse_inputs
from ..runs import Run
from ..score import save_label
from ..score.scoring import Setting
from ..sharding import sharded
from ..trained import Trained
from ..waiting import progress
from .layout import NAMED, Submission


@dataclass(frozen=True)
class Source:
    """What is submitted.

    Attributes:
        target: a run's folder, a file of weights, or a folder of predictions ID.png.
        voc_dir: the folder with the images, in VOC layout; label maps are not needed.
        net, model: which net weights without a run are for: a deploy prototxt, or an id.
    """

    target: Path
    voc_dir: Path
    net: Path | None = None
    model: str | None = None

    @property
    def is_folder(self) -> bool:
        """Whether the predictions are there already."""
        return self.target.is_dir() and not Run(self.target).net("deploy").is_file()

    def images(self) -> VocFolder:
        """The folder of the images. SampleError where its classes are not PASCAL VOC's."""
        folder = VocFolder.open(self.voc_dir)
        if folder.classes != VOC_CLASSES:
            raise SampleError(f"{folder.class_file}: the server knows PASCAL VOC's classes only")
        return folder


def make(source: Source, submission: Submission, settings: Sequence[Setting]) -> Path:
    """Write the predictions, check them, and pack them; the archive.

    Args:
        settings: one for each process that shares the images, see `fcn.score.score`.

    Raises:
        SampleError: images or predictions are missing, or are not what the server takes.
        ShardError: one of several processes failed; names the images without a prediction.
    """
    images = source.images()
    names = _names(images, submission.split)
    opened = partial(_copying if source.is_folder else _predicting, source, submission)
    check_folder(submission.out)
    submission.folder.mkdir(parents=True, exist_ok=True)
    done = sharded([partial(opened, setting) for setting in settings], names)
    for _ in progress(done, "predicting", len(names)):
        pass
    submission.check(images, names)
    return submission.pack(names)


def _names(images: VocFolder, split: str) -> list[str]:
    """The images of a list. SampleError where some are not there."""
    names = images.ids(split)
    files = images.parts()[0]
    missing = [name for name in names if not files.named(name)]
    if missing:
        more = f" and {len(missing) - NAMED} more" if missing[NAMED:] else ""
        raise SampleError(
            f"{files.folder}: {len(missing)} of the {len(names)} images of {split} are not there: "
            f"{', '.join(missing[:NAMED])}{more}"
        )
    return names


@contextmanager
def _predicting(source: Source, submission: Submission, setting: Setting) -> Iterator[Callable[[str], None]]:
    """What writes the prediction that the net makes of an image."""
    images, trained = source.images(), Trained.find(source.target, source.net, source.model)
    if trained.class_names not in (None, VOC_CLASSES):
        raise SampleError(f"{source.target}: was trained on other classes than PASCAL VOC's")
    with setting():
        net = trained.load(len(VOC_CLASSES), images.mean)
        if net.classes != len(VOC_CLASSES):
            raise SampleError(f"{source.target}: gives {net.classes} scores, expected {len(VOC_CLASSES)}")
        yield lambda name: save_label(net.labels(*images.pictures(name)), submission.picture(name))


@contextmanager
def _copying(source: Source, submission: Submission, setting: Setting) -> Iterator[Callable[[str], None]]:
    """What writes a prediction that lies in a folder, with VOC's palette."""
    files = Files(source.target, LABEL_SUFFIXES)

    def copy(name: str) -> None:
        refuse_inputs([submission.picture(name)], [files.find(name)])
        save_label(read_label_png(files.find(name)), submission.picture(name))

    yield copy
