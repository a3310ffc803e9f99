"""Histograms: of a net with its own data layer, of a net on files, and of saved predictions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fcn.dataset import Dataset
from fcn.metrics import fast_hist
from fcn.predict import Predictor
from vis import make_palette
from voc_layers.reading import DataError, check_label, check_sizes, read_label


def save_label(label: np.ndarray, path: str | Path) -> None:
    """Write an H x W map of class indices as a palette PNG with VOC's colours; makes the folder."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.asarray(label, np.uint8))
    image.putpalette(make_palette(256).ravel().tolist())
    image.save(path)


def compute_hist(
    net: Any,
    save_dir: str | Path | None,
    dataset: Sequence[str],
    layer: str = "score",
    gt: str = "label",
    loss: str | None = "loss",
) -> tuple[np.ndarray, float]:
    """Run a net that reads its own data once for each id; the histogram, and the mean of the loss.

    net: a `caffe.Net` with blobs `layer` (1 x K x H x W), `gt` (1 x 1 x H x W) and `loss` (None: no loss).
    dataset: the ids in the order of the net's data layer; predictions go to `save_dir`/ID.png if it is set.
    KeyError where the net has no such blob.
    """
    for name in filter(None, (layer, gt, loss)):
        if name not in net.blobs:
            raise KeyError(f"the net has no blob '{name}'; it has {', '.join(net.blobs)}")
    classes = net.blobs[layer].data.shape[1]
    hist, total = np.zeros((classes, classes)), 0.0
    for name in dataset:
        net.forward()
        guess = net.blobs[layer].data[0].argmax(0)
        hist += fast_hist(net.blobs[gt].data[0, 0], guess, classes)
        if save_dir:
            save_label(guess, Path(save_dir, f"{name}.png"))
        total += float(net.blobs[loss].data.flat[0]) if loss else 0.0
    return hist, total / max(len(dataset), 1)


def score_net(
    net: Predictor, data: Dataset, names: Iterable[str], save_dir: str | Path | None = None
) -> tuple[np.ndarray, int]:
    """The histogram of a deploy net on images of a data set, and the number of void pixels."""
    return _score(data, names, lambda name: net.labels(data.image(name)), save_dir)


def score_folder(
    folder: str | Path, data: Dataset, names: Sequence[str], save_dir: str | Path | None = None
) -> tuple[np.ndarray, int]:
    """The histogram of predictions saved as ID.png, and the number of void pixels.

    DataError lists the ids without a prediction.
    """
    missing = [name for name in names if not Path(folder, f"{name}.png").is_file()]
    if missing:
        some = ", ".join(missing[:5]) + (" ..." if len(missing) > 5 else "")
        raise DataError(
            f"{folder}: expected {len(names)} predictions ID.png, found "
            f"{len(names) - len(missing)}; missing {some}"
        )
    return _score(data, names, lambda name: read_label(Path(folder, f"{name}.png")), save_dir, Path(folder))


def _score(
    data: Dataset,
    names: Iterable[str],
    guess_of: Any,
    save_dir: str | Path | None,
    folder: Path | None = None,
) -> tuple[np.ndarray, int]:
    n, void = len(data.classes), 0
    hist = np.zeros((n, n), np.int64)
    for name in names:
        truth, guess = data.label(name), guess_of(name)
        source = folder / f"{name}.png" if folder else f"prediction of {name}"
        check_sizes(truth, guess, data.label_path(name), source)
        counted = truth < n
        check_label(guess[counted], source, n)
        hist += fast_hist(truth[counted], guess[counted], n)
        void += int((~counted).sum())
        if save_dir:
            save_label(guess, Path(save_dir, f"{name}.png"))
    return hist, void
