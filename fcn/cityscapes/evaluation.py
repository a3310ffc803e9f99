"""The FCN score: images counted against labels, and the three numbers as pix2pix's script reckons them."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from nets.cityscapes import SCORES, cityscapes_fcn8s
from voc_layers.reading import SampleError, read_size

from ..data.importing.sources.streets import CITYSCAPES
from ..engine import open_net, quiet
from ..predictor import Predictor
from ..score import ImageCount, Scorecard, Tally, Truth
from ..score.scoring import Setting
from ..sharding import sharded
from ..waiting import progress
from ..weights.loading import load
from .labels import NO_CLASS, Generated, StreetLabels

log = logging.getLogger("fcn")

#: B, G, R of 0 to 255: what the published net subtracts.
MEAN = (72.78044, 83.21195, 73.45286)
#: The side of the images that it was trained on, before they were made as large as the labels.
TRAINED_ON = 256


@dataclass(frozen=True)
class Judged:
    """What is scored.

    Attributes:
        labels: Cityscapes' label maps.
        images: the generated ones.
        weights: the net's.
        net: its deploy prototxt; None for the published net's.
        save: the folder that the net's label maps are saved in, if they are.
    """

    labels: StreetLabels
    images: Generated
    weights: Path
    net: Path | None = None
    save: Path | None = None

    def open(self) -> Predictor:
        """The net with its weights."""
        with tempfile.TemporaryDirectory() as folder:
            built = Path(folder, "deploy.prototxt")
            if self.net is None:
                built.write_text(str(cityscapes_fcn8s()))
            net = open_net(self.net or built)
        with quiet():
            load(net, self.weights)
        found = Predictor(net, MEAN)
        if found.classes != SCORES:
            raise SampleError(f"{self.net}: gives {found.classes} scores, expected {SCORES}")
        return found


def judge(what: Judged, settings: Sequence[Setting]) -> Scorecard:
    """The score of generated images.

    The scores that no class has are the last row and column of the histogram, and are never right; no mean is
    over them. settings: one for each process that shares the images, see `fcn.score.score`.

    Raises:
        SampleError: labels, images or weights are missing, or are not what they should be.
        ShardError: one of several processes failed; names the images that were not scored.
    """
    names = what.labels.names
    what.images.require(names)
    _warn_of_size(what.images.path(names[0]))
    counts = sharded([partial(_counting, what, setting) for setting in settings], names)
    tally = Tally(SCORES, tuple(progress(counts, "scoring", len(names))))
    title = f"{what.images.folder} by FCN-8s on Cityscapes {what.labels.split}"
    return Scorecard(
        title,
        tally,
        what.labels.classes,
        split=what.labels.split,
        unseen=(NO_CLASS,),
        weights=what.weights.name,
    )


@contextmanager
def _counting(what: Judged, setting: Setting) -> Iterator[Callable[[str], ImageCount]]:
    truth = Truth(what.labels, what.labels.names, what.save)
    with setting():
        net = what.open()

        def count(name: str) -> ImageCount:
            size = what.labels.label(name).shape
            return truth.count(name, net.labels(what.images.image(name, size)))

        yield count


def _warn_of_size(path: Path) -> None:
    """The commonest mistake: it makes the score of real images too low as well."""
    size = read_size(path)
    if size != (TRAINED_ON, TRAINED_ON):
        log.warning(
            "%s: is %d x %d (H x W); the net was trained on images of %d x %d made as large as the labels, "
            "and published scores are of such",
            path,
            *size,
            TRAINED_ON,
            TRAINED_ON,
        )


def protocol_hist(tally: Tally) -> np.ndarray:
    """The 19 x 19 histogram that pix2pix's script would have, row = truth.

    It numbers the cells in a row, so that a pixel given to the score that no class has lands in the first
    cell of the next class's row; and it leaves out an image where that would be beyond the last.
    """
    n = len(CITYSCAPES)
    total = np.zeros((n, n), np.int64)
    for image in tally.images:
        hist = image.cells.hist(tally.classes)
        if hist[n - 1, n]:
            continue
        total += hist[:n, :n]
        total[1:, 0] += hist[: n - 1, n]
    return total


def protocol_text(tally: Tally) -> str:
    """What pix2pix's script writes into evaluation_results.txt; a class that is nowhere counts as 0."""
    hist = protocol_hist(tally)
    right, true, predicted = np.diag(hist), hist.sum(1), hist.sum(0)
    accuracy = right / np.maximum(true, 1)
    iu = right / np.maximum(true + predicted - right, 1)
    lines = [
        f"Mean pixel accuracy: {right.sum() / max(hist.sum(), 1):f}",
        f"Mean class accuracy: {accuracy.mean():f}",
        f"Mean class IoU: {iu.mean():f}",
        "************ Per class numbers below ************",
        *(f"{name:<15}: acc = {accuracy[k]:f}, iou = {iu[k]:f}" for k, name in enumerate(CITYSCAPES)),
    ]
    return "\n".join(lines) + "\n"


def given_to_none(tally: Tally) -> int:
    """Pixels of a class that the net gave to the score that no class has."""
    return int(tally.hist[: len(CITYSCAPES), len(CITYSCAPES)].sum())
