"""What is to be scored, and against what: a run, weights or saved predictions against label maps."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

import nets
from voc_layers.facts import VOC_CLASSES
from voc_layers.files import LABEL_SUFFIXES, Files
from voc_layers.folder import Folder, SbdFolder, Split, VocFolder
from voc_layers.reading import ClassList, SampleError, check_label, read_classes, read_label_png

from ..data.names import check_names, names_in
from ..data.sets import folder_of
from ..outputs import refuse_inputs
from ..runs import Run
from ..trained import Trained
from .histograms import Truth
from .scorecard import Scorecard

log = logging.getLogger("fcn")


@dataclass(frozen=True)
class ScoreRequest:
    """What to score. All but the target may be left out where a run knows it.

    Attributes:
        target: a run's folder, a file of weights, or a folder of predictions ID.png.
        data: the folder to score against, in VOC layout or that of the model's data set; a run's own by
            default.
        annotations: PASCAL-Context's, which lie in a folder of their own.
        split: of that folder: by default the one that the run was scored on, else seg11valid or val.
        labels: a plain folder of label maps ID.png to score predictions against, instead of `data`.
        class_file: the names of its classes, one a line; PASCAL VOC's by default.
        limit: score the first images only.
        trained_on: SBD's folder, to warn of images that were trained on; the run's list by default.
        net, model: which net weights without a run are for: a deploy prototxt, or an id.
        save: where predictions are written, as palette PNGs.
    """

    target: Path
    data: Path | None = None
    annotations: Path | None = None
    split: str | None = None
    labels: Path | None = None
    class_file: Path | None = None
    limit: int | None = None
    trained_on: Path | None = None
    net: Path | None = None
    model: str | None = None
    save: Path | None = None


@dataclass(frozen=True)
class LabelFolder:
    """A folder with label maps, named by their ids, and nothing else."""

    root: Path
    classes: tuple[str, ...]
    void: int

    @cached_property
    def _files(self) -> Files:
        return Files(self.root, LABEL_SUFFIXES)

    @classmethod
    def open(cls, root: Path, class_file: Path | None) -> LabelFolder:
        """The folder, with the classes that a file names or PASCAL VOC's."""
        listed = read_classes(class_file) if class_file else ClassList(VOC_CLASSES)
        return cls(root, listed.names, listed.void)

    def names(self) -> list[str]:
        """The label maps that are there; SampleError where there are none."""
        found = self._files.stems()
        if not found:
            raise SampleError(f"{self.root}: expected label maps ({', '.join(LABEL_SUFFIXES)}), found none")
        return found

    def label_path(self, name: str) -> Path:
        """The label map of an id; SampleError where there is none, or more than one."""
        return self._files.find(name)

    def label(self, name: str) -> np.ndarray:
        """uint8 H x W, class indices, 255 = void."""
        path = self.label_path(name)
        return check_label(read_label_png(path), path, len(self.classes), self.void)


def score(request: ScoreRequest) -> Scorecard:
    """The scorecard of what is asked for.

    Raises:
        SampleError: what is missing, or is not what it should be.
        ValueError: an unknown model.
    """
    target = request.target
    if target.is_dir() and not Run(target).net("deploy").is_file():
        return _score_predictions(request)
    trained = Trained.find(target, request.net, request.model)
    split = _split(request, trained)
    folder, names = split.folder, split.ids[: request.limit]
    _warn_of_shared(_trained_on(request, trained, split), names, split.name)
    net = trained.load(len(folder.classes), folder.mean)
    if net.classes != len(folder.classes):
        raise SampleError(
            f"{trained.net or trained.model}: gives {net.classes} scores, but {folder.root} has "
            f"{len(folder.classes)} classes ({', '.join(folder.classes[:4])} ...)"
        )
    _keep_inputs(
        request.save, names, [trained.weights, *map(folder.label_path, names), *_images(folder, names)]
    )
    cards: list[Scorecard] = []
    for labeling in trained.labelings:
        maps = folder.labeled(labeling.name)
        save = request.save / labeling.name if request.save and cards else request.save
        tally = Truth(maps, names, save).score_net(net.of(labeling.score), folder.pictures)
        title = f"{trained.model or trained.weights.name} on {folder.root.name} {split.name}"
        title += f", {labeling.name}" if labeling.name else ""
        _warn_of_little(tally.hist, maps.classes, folder.root)
        card = Scorecard(title, tally, maps.classes, trained.model, split.name)
        cards.append(replace(card, unseen=maps.unseen, labeling=labeling.name))
    return replace(cards[0], more=tuple(cards[1:]))


def _images(folder: Folder, names: Sequence[str]) -> list[Path]:
    return [path for name in names for path in folder.image_paths(name)]


def _keep_inputs(save: Path | None, names: Sequence[str], inputs: Sequence[Path]) -> None:
    if save is not None:
        refuse_inputs([save / f"{name}.png" for name in names], inputs)


def _warn_of_little(hist: np.ndarray, classes: Sequence[str], where: Path) -> None:
    """Warn of a score that says nothing: one class is always right where there is no other.

    Raises:
        SampleError: no pixel was scored.
    """
    present = np.flatnonzero(hist.sum(1))
    if not present.size:
        raise SampleError(f"{where}: every pixel of the labels is void: there is nothing to score")
    if present.size == 1:
        text = "%s: '%s' is the only class in the labels: a score on it says nothing of the others"
        log.warning(text, where, classes[present[0]])


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


def _score_predictions(request: ScoreRequest) -> Scorecard:
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
    truth = Truth(maps, names, request.save)
    predictions = truth.predictions(request.target)
    _keep_inputs(request.save, names, [*map(maps.label_path, names), *predictions.values()])
    tally = truth.score_files(predictions)
    title = f"{request.target} against {against}"
    _warn_of_little(tally.hist, maps.classes, Path(against))
    unseen = maps.unseen if isinstance(maps, Folder) else ()
    card = Scorecard(title, tally, maps.classes, request.model)
    labelings = nets.get(request.model).labelings if request.model else (nets.Labeling(),)
    return replace(card, unseen=unseen, labeling=labelings[0].name)


def _trained_on(request: ScoreRequest, trained: Trained, split: Split) -> Split | None:
    if request.trained_on is not None:
        folder = SbdFolder.open(request.trained_on, like=split.folder)
        return Split(folder, "train", tuple(folder.ids("train")))
    return trained.job.split("train") if trained.job else None


def _warn_of_shared(trained_on: Split | None, names: Sequence[str], split: str) -> None:
    shared = sorted(set(trained_on.ids) & set(names)) if trained_on else []
    if trained_on and shared:
        log.warning(
            "%d of the %d images of %s are also in %s (%s ...): the score is too good",
            len(shared),
            len(names),
            split,
            trained_on.list_file,
            shared[0],
        )
