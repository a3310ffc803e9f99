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


def _mean(values: np.ndarray) -> np.ndarray:
    """Over the last axis, without NaN; NaN where there is nothing else."""
    known = ~np.isnan(values)
    return _ratio(np.where(known, values, 0).sum(-1), known.sum(-1))


@dataclass(frozen=True)
class Margins:
    """What the numbers are made of: of each class the pixels that are right, true and predicted.

    Arrays of ... x K; each number is of the shape of the leading axes. As fractions of 1; see `Scores`.
    """

    right: np.ndarray
    true: np.ndarray
    predicted: np.ndarray
    unseen: tuple[int, ...] = ()

    @property
    def class_accuracy(self) -> np.ndarray:
        """Per class: correct pixels over true pixels."""
        return _ratio(self.right, self.true)

    @property
    def class_iu(self) -> np.ndarray:
        """Per class: intersection over union."""
        iu = _ratio(self.right, self.true + self.predicted - self.right)
        for k in self.unseen:
            iu[..., k] = np.where(self.true[..., k] > 0, iu[..., k], np.nan)
        return iu

    def four(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """In the order of `METRICS` and of the paper's tables."""
        total = self.true.sum(-1)
        iu = self.class_iu
        share = _ratio(self.true, np.broadcast_to(total[..., None], self.true.shape))
        frequent = np.where(self.true > 0, share * iu, 0).sum(-1)
        return (
            _ratio(self.right.sum(-1), total),
            _mean(self.class_accuracy),
            _mean(iu),
            np.where(total > 0, frequent, np.nan),
        )


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
    def margins(self) -> Margins:
        """The sums that the numbers are made of, each of K."""
        right = np.diag(self.hist).astype(float)
        return Margins(right, self.hist.sum(1), self.hist.sum(0), self.unseen)

    @property
    def class_accuracy(self) -> np.ndarray:
        """Per class: correct pixels over true pixels."""
        return self.margins.class_accuracy

    @property
    def class_iu(self) -> np.ndarray:
        """Per class: intersection over union."""
        return self.margins.class_iu

    @property
    def class_dice(self) -> np.ndarray:
        """Per class: twice the intersection over true and predicted pixels; where there is an IU."""
        iu = self.class_iu
        dice: np.ndarray = 2 * iu / (1 + iu)
        return dice

    @property
    def overall_accuracy(self) -> float:
        return self.four()[0]

    @property
    def mean_accuracy(self) -> float:
        return self.four()[1]

    @property
    def mean_iu(self) -> float:
        return self.four()[2]

    @property
    def mean_dice(self) -> float:
        """Over the classes that `mean_iu` is over."""
        return float(_mean(self.class_dice))

    @property
    def fwavacc(self) -> float:
        """IU weighted by how frequent each class truly is."""
        return self.four()[3]

    def four(self) -> tuple[float, float, float, float]:
        """In the order of `METRICS` and of the paper's tables."""
        overall, accuracy, iu, weighted = map(float, self.margins.four())
        return overall, accuracy, iu, weighted

    def means(self) -> dict[str, float]:
        """The four numbers by name."""
        return dict(zip(METRICS, self.four()))

    def numbers(self) -> dict[str, float]:
        """The four numbers by name, and the mean Dice."""
        return {**self.means(), "mean Dice": self.mean_dice}
