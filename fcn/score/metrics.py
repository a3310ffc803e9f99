"""The paper's four numbers from a confusion matrix (Long et al. 2015, section 5, "Metrics"), and Dice.

A histogram is n x n: row = true class, column = predicted class, in pixels; void pixels are not in it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

METRICS = ("overall accuracy", "mean accuracy", "mean IU", "fwavacc")

#: What becomes of a class that is not there, in words: for whoever compares these numbers with others'.
ABSENT_CLASS_RULE = (
    "a class neither true nor predicted has no IU and no Dice, and one without true pixels has no accuracy: "
    "they are left out of the means; a class predicted but nowhere true has IU and Dice 0, and counts. "
    "Of one image these are the classes in that image"
)


def fast_hist(a: np.ndarray, b: np.ndarray, n: int) -> np.ndarray:
    """The n x n histogram of true labels `a` against predictions `b`, equally long.

    Pixels whose true label is outside 0 .. n - 1 (void) do not count.

    Raises:
        ValueError: the prediction of a counted pixel is outside, or the lengths differ.
    """
    a, b = np.asarray(a).ravel(), np.asarray(b).ravel()
    if a.size != b.size:
        raise ValueError(f"{a.size} labels against {b.size} predictions")
    counted = (a >= 0) & (a < n)
    if not counted.all():
        a, b = a[counted], b[counted]
    if b.size and not 0 <= b.min() <= b.max() < n:
        wrong = b[~((b >= 0) & (b < n))]
        raise ValueError(f"expected predictions from 0 to {n - 1}, found {wrong[0]} in {wrong.size} pixels")
    cell = a.astype(np.intp)  # what bincount counts without another copy
    cell *= n
    cell += b.astype(np.intp, copy=False)
    return np.bincount(cell, minlength=n * n).reshape(n, n)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """part / whole; NaN where whole is 0."""
    ratio: np.ndarray = np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)
    return ratio


def _mean(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


@dataclass(frozen=True)
class Scores:
    """What a histogram says, as fractions of 1.

    A class without true pixels has no accuracy, and a class neither true nor predicted anywhere has no IU:
    those are NaN and left out of the means, as in the reference release. A class that is predicted but never
    true has IU 0 and counts, but for those that are known to be true nowhere: `unseen`, their numbers. What
    is predicted as one of them is wrong all the same.
    """

    hist: np.ndarray
    unseen: tuple[int, ...] = ()

    @property
    def class_accuracy(self) -> np.ndarray:
        """Per class: correct pixels over true pixels."""
        return _ratio(np.diag(self.hist).astype(float), self.hist.sum(1))

    @property
    def class_iu(self) -> np.ndarray:
        """Per class: intersection over union."""
        right, true = np.diag(self.hist).astype(float), self.hist.sum(1)
        iu = _ratio(right, true + self.hist.sum(0) - right)
        iu[[k for k in self.unseen if not true[k]]] = np.nan
        return iu

    @property
    def class_dice(self) -> np.ndarray:
        """Per class: twice the intersection over true and predicted pixels; where there is an IU."""
        iu = self.class_iu
        dice: np.ndarray = 2 * iu / (1 + iu)
        return dice

    @property
    def overall_accuracy(self) -> float:
        total = self.hist.sum()
        return float(np.diag(self.hist).sum() / total) if total else float("nan")

    @property
    def mean_accuracy(self) -> float:
        return _mean(self.class_accuracy)

    @property
    def mean_iu(self) -> float:
        return _mean(self.class_iu)

    @property
    def mean_dice(self) -> float:
        """Over the classes that `mean_iu` is over."""
        return _mean(self.class_dice)

    @property
    def fwavacc(self) -> float:
        """IU weighted by how frequent each class truly is."""
        total = self.hist.sum()
        if not total:
            return float("nan")
        share = self.hist.sum(1) / total
        return float((share[share > 0] * self.class_iu[share > 0]).sum())

    def four(self) -> tuple[float, float, float, float]:
        """In the order of `METRICS` and of the paper's tables."""
        return self.overall_accuracy, self.mean_accuracy, self.mean_iu, self.fwavacc

    def means(self) -> dict[str, float]:
        """The four numbers by name."""
        return dict(zip(METRICS, self.four()))

    def numbers(self) -> dict[str, float]:
        """The four numbers by name, and the mean Dice."""
        return {**self.means(), "mean Dice": self.mean_dice}
