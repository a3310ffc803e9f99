"""Histograms: of a net with its own data layer, of a net on files, and of saved predictions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from vis import make_palette
from voc_layers.facts import VOID
from voc_layers.files import LABEL_SUFFIXES, Files
from voc_layers.reading import SampleError, check_sizes, read_label_png

from ..predictor import Predictor, best_class
from ..protocols import LabelMaps, NetLike
from .metrics import fast_hist


def save_label(label: np.ndarray, path: str | Path) -> None:
    """Write an H x W map of class indices as a palette PNG with VOC's colours; makes the folder."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    label_image(label).save(path, "PNG")


def label_image(label: np.ndarray) -> Image.Image:
    """An H x W map of class indices as a palette image with VOC's colours."""
    image = Image.fromarray(np.asarray(label, np.uint8))
    image.putpalette(make_palette(256).ravel().tolist())
    return image


def compute_hist(
    net: NetLike,
    save_dir: str | Path | None,
    dataset: Iterable[str],
    layer: str = "score",
    gt: str = "label",
    loss: str | None = "loss",
) -> tuple[np.ndarray, float]:
    """Run a net that reads its own data once for each id; the histogram, and the mean of the loss.

    Args:
        net: a `caffe.Net` that reads the images of `dataset` in that order.
        layer, gt, loss: its blobs, 1 x K x H x W, 1 x 1 x H x W and a number (None: no loss).
        save_dir: predictions go to `save_dir`/ID.png; None or '' saves none.

    Raises:
        KeyError: the net has no such blob.
    """
    for name in filter(None, (layer, gt, loss)):
        if name not in net.blobs:
            raise KeyError(f"the net has no blob '{name}'; it has {', '.join(net.blobs)}")
    classes = net.blobs[layer].data.shape[1]
    hist, losses = np.zeros((classes, classes)), []
    for name in dataset:
        net.forward()
        guess = best_class(net.blobs[layer].data[0])
        hist += fast_hist(net.blobs[gt].data[0, 0], guess, classes)
        if save_dir:
            save_label(guess, Path(save_dir, f"{name}.png"))
        losses.append(float(net.blobs[loss].data.flat[0]) if loss else 0.0)
    return hist, sum(losses) / max(len(losses), 1)


@dataclass(frozen=True)
class Truth:
    """The label maps to score against, and the folder (or None) that the predictions are saved in."""

    maps: LabelMaps
    names: Sequence[str]
    save_dir: Path | None = None

    def score_net(
        self, net: Predictor, pictures: Callable[[str], Sequence[np.ndarray]]
    ) -> tuple[np.ndarray, int]:
        """The histogram of a deploy net, and the number of void pixels.

        pictures: by name, what each input of the net reads; of a photograph uint8, RGB.
        """
        return self._count(lambda name: net.labels(*pictures(name)), "prediction of {}".format)

    def predictions(self, folder: Path) -> dict[str, Path]:
        """The predictions that lie in a folder, by id.

        Raises:
            SampleError: the ids without a prediction, or with more than one.
        """
        files = Files(folder, LABEL_SUFFIXES)
        missing = [name for name in self.names if not files.named(name)]
        if missing:
            some = ", ".join(missing[:5]) + (" ..." if len(missing) > 5 else "")
            raise SampleError(
                f"{folder}: expected {len(self.names)} predictions ID.png, found "
                f"{len(self.names) - len(missing)}; missing {some}"
            )
        return {name: files.find(name) for name in self.names}

    def score_files(self, files: Mapping[str, Path]) -> tuple[np.ndarray, int]:
        """The histogram of saved predictions, by id, and the number of void pixels."""
        return self._count(lambda name: read_label_png(files[name]), lambda name: str(files[name]))

    def _count(
        self, guess_of: Callable[[str], np.ndarray], source: Callable[[str], str]
    ) -> tuple[np.ndarray, int]:
        n, void = len(self.maps.classes), 0
        hist = np.zeros((n, n), np.int64)
        for name in self.names:
            truth, guess = self.maps.label(name), guess_of(name)
            check_sizes(truth, guess, self.maps.label_path(name), source(name))
            try:
                hist += fast_hist(truth, guess, n)
            except ValueError as error:
                raise SampleError(f"{source(name)}: {error}") from error
            void += int(np.count_nonzero(truth == VOID))
            if self.save_dir:
                save_label(guess, self.save_dir / f"{name}.png")
        return hist, void
