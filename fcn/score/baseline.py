"""What can be scored without looking at shapes: the best constant, and a per-pixel classifier on colour."""

from __future__ import annotations

import numpy as np

from voc_layers.folder import Split

from .metrics import Scores, fast_hist


class ColourClassifier:
    """The commonest class of each colour, in `bins`^3 cells of RGB; of all classes in a cell never seen."""

    def __init__(self, classes: int, bins: int = 16):
        self.classes, self.bins = classes, bins
        self.counts = np.zeros((bins**3, classes), np.int64)

    def _cells(self, image: np.ndarray) -> np.ndarray:
        levels = image.astype(np.int64) * self.bins // 256
        cells: np.ndarray = (levels * (self.bins**2, self.bins, 1)).sum(-1)
        return cells

    def add(self, image: np.ndarray, label: np.ndarray) -> None:
        """Count one training pair: uint8 H x W x 3 and H x W, 255 = void."""
        seen = label < self.classes
        joint = self._cells(image)[seen] * self.classes + label[seen]
        self.counts += np.bincount(joint, minlength=self.counts.size).reshape(self.counts.shape)

    def predict(self, image: np.ndarray, balanced: bool = False) -> np.ndarray:
        """H x W class indices. balanced: weigh each class by the inverse of its frequency."""
        totals = self.counts.sum(0)
        votes = self.counts / np.maximum(totals, 1) if balanced else self.counts
        choice = np.where(self.counts.any(1), votes.argmax(1), totals.argmax())
        labels: np.ndarray = choice[self._cells(image)]
        return labels


def baselines(train: Split, val: Split) -> dict[str, Scores]:
    """Scores on `val` of the best constant class and of a colour classifier, both fitted on `train`.

    The best constant is the commonest class: a constant map's mean IU is its class's share of the pixels over
    the number of classes. The colour classifier is balanced or not, whichever scores better on `train`.
    """
    classes = len(val.folder.classes)
    model = ColourClassifier(classes)
    for name in train.ids:
        model.add(*train.folder.pair(name))
    truth = sum(np.bincount(val.folder.label(n).ravel(), minlength=256)[:classes] for n in val.ids)
    constant = np.zeros((classes, classes), np.int64)
    constant[:, model.counts.sum(0).argmax()] = truth
    fitted = {balanced: Scores(_hist(train, model, balanced)).mean_iu for balanced in (False, True)}
    colour = _hist(val, model, max(fitted, key=fitted.__getitem__))
    return {"best constant": Scores(constant), "colour per pixel": Scores(colour)}


def _hist(split: Split, model: ColourClassifier, balanced: bool) -> np.ndarray:
    hist = np.zeros((model.classes, model.classes), np.int64)
    for name in split.ids:
        image, label = split.folder.pair(name)
        hist += fast_hist(label, model.predict(image, balanced), model.classes)
    return hist
