"""What a request means: the images, their true labels, and where the predictions come from."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import nets
from voc_layers.folder import Folder, SbdFolder, Split, VocFolder
from voc_layers.reading import SampleError, read_label_png

from ..data.names import check_names, names_in
from ..data.sets import folder_of
from ..outputs import refuse_inputs
from ..runs import Run
from ..trained import Trained
from .counts import ImageCount
from .histograms import Truth
from .request import LabelFolder, ScoreRequest

log = logging.getLogger("fcn")

#: The label maps predicted for an image, one for each labeling, and where each comes from, for messages.
Labeler = Callable[[str], Sequence[tuple[np.ndarray, str]]]
#: What is counted of an image, once for each labeling.
Counter = Callable[[str], tuple[ImageCount, ...]]


@dataclass(frozen=True)
class Subject:
    """A list of images to score.

    Attributes:
        title: what is scored against what.
        labelings: what is said of each pixel.
        truths: the label maps of each.
        where: the folder that they are in.
        labeler: opens the net, or whatever knows the predictions.
        model: the id of the net, if known.
        split: the name of the list, where it is one of a data set's.
        weights: the file that the net was read from.
        trained_on: the list that the net was trained on, if known.
        inputs: files that are read, which no output may replace.
    """

    title: str
    labelings: tuple[nets.Labeling, ...]
    truths: tuple[Truth, ...]
    where: Path
    labeler: Callable[[], Labeler]
    model: str | None = None
    split: str | None = None
    weights: Path | None = None
    trained_on: Split | None = None
    inputs: tuple[Path, ...] = ()

    @property
    def names(self) -> Sequence[str]:
        """The images, in order."""
        return self.truths[0].names

    def counter(self) -> Counter:
        """Opens the net; what counts an image, once for each labeling."""
        labels = self.labeler()

        def count(name: str) -> tuple[ImageCount, ...]:
            return tuple(
                truth.count(name, guess, source) for truth, (guess, source) in zip(self.truths, labels(name))
            )

        return count

    @contextmanager
    def opened(self) -> Iterator[Counter]:
        """`counter`, as those who share the images take it."""
        yield self.counter()


def resolve(request: ScoreRequest) -> Subject:
    """What a request means; no net is opened yet.

    Raises:
        SampleError: what is missing, or is not what it should be.
        ValueError: an unknown model.
    """
    target = request.target
    if target.is_dir() and not Run(target).net("deploy").is_file():
        return _of_predictions(request)
    return _of_net(request, Trained.find(target, request.net, request.model))


def check(request: ScoreRequest, subject: Subject) -> None:
    """Refuse outputs that would replace inputs; warn of images that the net was trained on."""
    if request.save is not None:
        refuse_inputs([request.save / f"{name}.png" for name in subject.names], subject.inputs)
    seen = subject.trained_on
    shared = sorted(set(seen.ids) & set(subject.names)) if seen else []
    if seen and shared:
        log.warning(
            "%d of the %d images of %s are also in %s (%s ...): the score is too good",
            len(shared),
            len(subject.names),
            subject.split,
            seen.list_file,
            shared[0],
        )


def _of_net(request: ScoreRequest, trained: Trained) -> Subject:
    split = _split(request, trained)
    folder, names = split.folder, split.ids[: request.limit]
    labelings = trained.labelings

    def labeler() -> Labeler:
        net = trained.load(len(folder.classes), folder.mean)
        if net.classes != len(folder.classes):
            raise SampleError(
                f"{trained.net or trained.model}: gives {net.classes} scores, but {folder.root} has "
                f"{len(folder.classes)} classes ({', '.join(folder.classes[:4])} ...)"
            )
        parts = [net.of(labeling.score) for labeling in labelings]

        def labels(name: str) -> list[tuple[np.ndarray, str]]:
            pictures = folder.pictures(name)
            return [(part.labels(*pictures), f"prediction of {name}") for part in parts]

        return labels

    first, *_ = labelings
    truths = []
    for labeling in labelings:
        save = request.save / labeling.name if request.save and labeling is not first else request.save
        truths.append(Truth(folder.labeled(labeling.name), names, save, request.trimap))
    return Subject(
        f"{trained.model or trained.weights.name} on {folder.root.name} {split.name}",
        labelings,
        tuple(truths),
        folder.root,
        labeler,
        trained.model,
        split.name,
        trained.weights,
        _trained_on(request, trained, split),
        (trained.weights, *map(folder.label_path, names), *_images(folder, names)),
    )


def _images(folder: Folder, names: Sequence[str]) -> list[Path]:
    return [path for name in names for path in folder.image_paths(name)]


def _split(request: ScoreRequest, trained: Trained) -> Split:
    """The images to score on, from the request or, where it is silent, from the run."""
    own = trained.job.split("val") if trained.job else None
    if request.data is not None:
        folder = _folder_at(request, trained.folder)
        return _listed(_with_names_of(trained, folder), request.split)
    if own is not None:
        check_names(own.folder.classes, names_in(own.folder), own.folder.root)
    if own is None:
        raise SampleError(
            "which images? Give --data or --voc-dir, a folder in VOC layout or that of the model's data set"
        )
    if own.ids and request.split in (None, own.name):
        return own
    return _listed(own.folder, request.split or own.name)


def _folder_at(request: ScoreRequest, like: Folder) -> Folder:
    """The folder that is given: in VOC layout, or in that of the data set that the net is for."""
    assert request.data is not None
    if isinstance(like, (VocFolder, SbdFolder)):
        return VocFolder.open(request.data)
    own: dict[str, Any] = {"annotations": request.annotations} if request.annotations else {}
    return replace(like, root=request.data, **own)


def _with_names_of(trained: Trained, folder: Folder) -> Folder:
    """The folder with the classes that a net was trained on, if a run says so; SampleError for others."""
    if trained.class_names is None or not isinstance(folder, VocFolder):
        return folder
    check_names(trained.class_names, names_in(folder), folder.class_file)
    return folder if folder.class_file.is_file() else replace(folder, classes=trained.class_names)


def _listed(folder: Folder, name: str | None) -> Split:
    """A split that is there; SampleError says what of the layout is not."""
    folder.require_layout()
    name = name or folder.default_split
    return Split(folder, name, tuple(folder.ids(name)))


def _of_predictions(request: ScoreRequest) -> Subject:
    """Saved predictions against a split of a data set, or against a plain folder of labels."""
    maps: LabelFolder | Folder
    if request.labels is not None:
        maps = LabelFolder.open(request.labels, request.class_file)
        names, against = maps.names(), str(request.labels)
    elif request.data is not None:
        like = folder_of(request.model) if request.model else VocFolder(Path())
        split = _listed(_folder_at(request, like), request.split)
        maps, names, against = split.folder, list(split.ids), f"{split.folder.root.name} {split.name}"
    else:
        raise SampleError(
            f"{request.target}: no run (it has no deploy.prototxt); to score it as a folder of "
            "predictions, give --labels, --data or --voc-dir"
        )
    names = names[: request.limit]
    truth = Truth(maps, names, request.save, request.trimap)
    files = truth.predictions(request.target)
    labelings = nets.get(request.model).labelings if request.model else (nets.Labeling(),)
    return Subject(
        f"{request.target} against {against}",
        labelings[:1],
        (truth,),
        Path(against),
        lambda: lambda name: [(read_label_png(files[name]), str(files[name]))],
        request.model,
        inputs=(*map(maps.label_path, names), *files.values()),
    )


def _trained_on(request: ScoreRequest, trained: Trained, split: Split) -> Split | None:
    if request.trained_on is not None:
        folder = SbdFolder.open(request.trained_on, like=split.folder)
        return Split(folder, "train", tuple(folder.ids("train")))
    return trained.job.split("train") if trained.job else None
