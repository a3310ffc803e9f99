"""Histograms: of a net with its own data layer, of a net on files, and of saved predictions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from vis import make_palette
from voc_layers.facts import VOID
from voc_layers.files import LABEL_SUFFIXES, Files
from voc_layers.reading import SampleError, check_sizes

from ..outputs import replacing
from ..predictor import Predictor, best_class
from ..protocols import LabelMaps, NetLike
from .counts import Cells, ImageCount, Tally
from .metrics import fast_hist
from .trimap import bands


def save_label(label: np.ndarray, path: str | Path) -> None:
    """Write an H x W map of class indices as a palette PNG with VOC's colours; makes the folder.

    The file of that name is whole at any time.

    Raises:
        OSError: it cannot be written; names the file.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        label_image(label).save(temporary, "PNG")


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
    """The label maps to score against.

    Attributes:
        maps: where they lie.
        names: the images.
        save_dir: the folder that the predictions are saved in, if they are.
        trimap: widths, in pixels, of the bands along boundaries that are counted besides.
    """

    maps: LabelMaps
    names: Sequence[str]
    save_dir: Path | None = None
    trimap: tuple[int, ...] = ()

    def score_net(self, net: Predictor, pictures: Callable[[str], Sequence[np.ndarray]]) -> Tally:
        """What a deploy net says of the images, counted.

        pictures: by name, what each input of the net reads; of a photograph uint8, RGB.
        """
        images = (self.count(name, net.labels(*pictures(name))) for name in self.names)
        return Tally(len(self.maps.classes), tuple(images))

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

    def count(self, name: str, guess: np.ndarray, source: str = "") -> ImageCount:
        """One image, counted, and its prediction saved.

        Args:
            guess: H x W, class indices.
            source: where the prediction comes from, for messages.

        Raises:
            SampleError: the prediction is of another size than the label, or holds what is no class.
        """
        truth, source = self.maps.label(name), source or f"prediction of {name}"
        classes = len(self.maps.classes)
        check_sizes(truth, guess, self.maps.label_path(name), source)
        try:
            hist = fast_hist(truth, guess, classes)
        except ValueError as error:
            raise SampleError(f"{source}: {error}") from error
        if self.save_dir:
            save_label(guess, self.save_dir / f"{name}.png")
        near = bands(truth, guess, self.trimap, classes)
        return ImageCount(name, Cells.of(hist), int(np.count_nonzero(truth == VOID)), near)
