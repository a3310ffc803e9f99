"""The best score that coarse predictions could have: the truth itself, made coarse and fine again.

Appendix A of Long et al.; how the paper resamples it does not say, so two ways stand side by side:

    blocks    each block of factor x factor pixels is all of the class that has most of its pixels
    bilinear  the shares of the classes in each block are interpolated between the blocks' centres, as a
              Deconvolution with `surgery.upsample_filt` does, and the largest share wins

Void pixels have no part in a block, and are not scored.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from PIL import Image

from voc_layers.facts import VOID
from voc_layers.folder import Split

from ..data.parallel import each
from ..tables import percent, table
from .metrics import Scores, fast_hist

#: What the rows of the table are.
EXPLAINED = (
    "blocks: each block gets the class of most of its pixels. bilinear: the classes' shares of each block,\n"
    "interpolated; the largest wins. published: appendix A of the paper, on a subset of VOC 2011's val\n"
    "list, resampled in a way that it does not name. Void pixels are in no block and are not scored."
)
#: Factor -> mean IU in percent, on a subset of PASCAL VOC 2011's val list (arXiv 1411.4038v2, appendix A).
PUBLISHED = {128: 50.9, 64: 73.3, 32: 86.1, 16: 92.8, 8: 96.4, 4: 98.5}


def shares(label: np.ndarray, factor: int) -> tuple[np.ndarray, np.ndarray]:
    """What each block of a label map is made of.

    label: uint8 H x W, 255 = void. The last blocks of a row and a column may be smaller than `factor`.

    Returns:
        the classes that occur, C; and of each its share of the block's pixels that are not void, float32
        C x ceil(H / factor) x ceil(W / factor), 0 where all are void.
    """
    present = np.unique(label[label != VOID])
    height, width = (-(-side // factor) for side in label.shape)
    padded = np.full((height * factor, width * factor), VOID, np.uint8)
    padded[: label.shape[0], : label.shape[1]] = label
    blocks = padded.reshape(height, factor, width, factor)
    counts = np.stack([np.count_nonzero(blocks == k, axis=(1, 3)) for k in present]).astype(np.float32)
    return present, counts / np.maximum(counts.sum(0), 1)


def in_blocks(label: np.ndarray, factor: int) -> np.ndarray:
    """The label map with one class in each block, H x W."""
    present, parts = shares(label, factor)
    fine = present[parts.argmax(0)].repeat(factor, axis=0).repeat(factor, axis=1)
    return _cropped(fine, label)


def interpolated(label: np.ndarray, factor: int) -> np.ndarray:
    """The label map of the largest share between the blocks' centres, H x W."""
    present, parts = shares(label, factor)
    size = (parts.shape[2] * factor, parts.shape[1] * factor)
    fine = [Image.fromarray(part).resize(size, Image.Resampling.BILINEAR) for part in parts]
    best = present[np.stack([np.asarray(plane) for plane in fine]).argmax(0)]
    return _cropped(best, label)


def _cropped(whole_blocks: np.ndarray, label: np.ndarray) -> np.ndarray:
    cropped: np.ndarray = whole_blocks[: label.shape[0], : label.shape[1]]
    return cropped


METHODS: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {"blocks": in_blocks, "bilinear": interpolated}


@dataclass(frozen=True)
class Bound:
    """What was measured: method -> factor -> the scores of the truth made coarse. where: on which images."""

    where: str
    images: int
    scores: dict[str, dict[int, Scores]]

    def text(self) -> str:
        """A row per method, and the published one; mean IU in percent."""
        factors = list(next(iter(self.scores.values())))
        known = [PUBLISHED.get(factor) for factor in factors]
        published = [percent(None if value is None else value / 100) for value in known]
        rows = [
            (method, *(percent(one.mean_iu) for one in by_factor.values()))
            for method, by_factor in self.scores.items()
        ]
        what = f"{self.where}: {self.images} label maps made coarse by a factor and fine again, mean IU, %"
        values = table(("factor", *map(str, factors)), [*rows, ("published", *published)])
        return f"{what}\n\n{values}\n\n{EXPLAINED}\n"

    def as_dict(self) -> dict[str, Any]:
        """For JSON: fractions of 1, published ones percent."""
        measured = {
            method: {str(factor): one.means() for factor, one in by_factor.items()}
            for method, by_factor in self.scores.items()
        }
        return {
            "where": self.where,
            "images": self.images,
            "measured": measured,
            "published_mean_iu": {str(factor): value for factor, value in PUBLISHED.items()},
            "explained": " ".join(EXPLAINED.split()),
        }


def bound(split: Split, factors: Sequence[int]) -> Bound:
    """The scores of a list's label maps made coarse by each factor, counted over all of them.

    Raises:
        SampleError: a label map that is missing, or is not what it should be.
    """
    classes = len(split.folder.classes)
    sums = {
        method: {factor: np.zeros((classes, classes), np.int64) for factor in factors} for method in METHODS
    }
    for hists in each(partial(_hists, split, factors), split.ids, "resampling"):
        for (method, factor), hist in hists.items():
            sums[method][factor] += hist
    scores = {
        method: {factor: Scores(hist, split.folder.unseen_numbers) for factor, hist in by_factor.items()}
        for method, by_factor in sums.items()
    }
    return Bound(f"{split.folder.root.name} {split.name}", len(split.ids), scores)


def _hists(split: Split, factors: Sequence[int], name: str) -> dict[tuple[str, int], np.ndarray]:
    label = split.folder.label(name)
    if (label == VOID).all():
        return {}
    classes = len(split.folder.classes)
    return {
        (method, factor): fast_hist(label, coarse(label, factor), classes)
        for method, coarse in METHODS.items()
        for factor in factors
    }
