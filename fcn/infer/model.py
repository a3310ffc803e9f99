"""A trained net that is asked for the classes of images: `fcn.load("runs/voc-fcn8s").predict("cat.jpg")`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from voc_layers.inputs import Color
from voc_layers.reading import ClassList, SampleError

from ..engine import use_device
from ..predictor import Predictor, best_class
from ..trained import Trained
from .geometry import Geometry
from .images import from_memory, read_photo
from .prediction import Prediction
from .said import Said, class_list, labelings
from .tiles import Place, Tiling, everywhere, scored

#: What `predict` takes as an image.
Picture = str | Path | Image.Image | np.ndarray
#: Takes scores, K x H x W, and the place in the image that they are of.
Sink = Callable[[Place, np.ndarray], None]


@dataclass(frozen=True)
class Model:
    """A net with its weights and the names of its classes.

    Attributes:
        net: runs it.
        trained: where it comes from.
        said: its labelings; most nets have one.
    """

    net: Predictor
    trained: Trained
    said: tuple[Said, ...]

    @classmethod
    def of(cls, trained: Trained, listed: ClassList) -> Model:
        """The net of files that have been found.

        Raises:
            SampleError: the net gives another number of scores than there are class names.
            ValueError: weights that do not fit.
        """
        net = trained.load(len(listed.names), listed.mean)
        if net.classes != len(listed.names):
            raise SampleError(
                f"the net gives {net.classes} scores, but there are {len(listed.names)} class names; "
                "name the classes with --classes FILE"
            )
        return cls(net, trained, tuple(labelings(trained, listed.names)))

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in the order of the label values."""
        return tuple(self.said[0].classes)

    def predict(
        self,
        *images: Picture,
        scores: bool = False,
        tile: int | None = None,
        overlap: int | None = None,
        upright: bool = False,
    ) -> Prediction:
        """The classes of an image.

        Args:
            images: a file, an image of Pillow's, or an RGB array, uint8 H x W x 3; where the net looks at
                more than a photograph, one for each of its inputs (or the file of the first, see
                `Folder.companions`).
            scores: keep them, float32 K x H x W; else the net computes them again when they are asked for.
            tile: compute the image in tiles of at most so many pixels a side, in less memory.
            overlap: of neighbouring tiles; by default so much that the scores are those of the whole image.
            upright: turn a photograph as its EXIF tag says; else its pixels are taken as they are stored.

        Raises:
            SampleError: an image that cannot be read, or tiles too small for the net.
        """
        views = self.views(images, upright)
        tiling = Tiling(geometry(self.trained), tile, overlap) if tile else None
        return self.look(views, Path(name_of(images[0])).stem, tiling, scores)

    def look(
        self, views: Sequence[np.ndarray], name: str, tiling: Tiling | None = None, keep: bool = False
    ) -> Prediction:
        """What `predict` gives, of arrays as the inputs of the net read them. name: of its files."""
        shape = views[0].shape[:2]
        kept = [np.empty((len(one.classes), *shape), np.float32) for one in self.said] if keep else []
        labels = self.labels(views, tiling, [partial(_put, whole) for whole in kept])
        first, *more = [
            Prediction(
                label,
                tuple(one.classes),
                views[0],
                f"{name}{one.end}",
                partial(self._again, views, n, tiling),
            )
            for n, (label, one) in enumerate(zip(labels, self.said))
        ]
        for prediction, scores in zip((first, *more), kept):
            prediction.scores = scores
        first.more = tuple(more)
        return first

    def labels(
        self, views: Sequence[np.ndarray], tiling: Tiling | None = None, sinks: Sequence[Sink] = ()
    ) -> list[np.ndarray]:
        """The label maps of an image, uint8 H x W, one for each labeling.

        sinks: one for each labeling too, take the scores of some pixels, as they come.
        """
        labels = [np.empty(views[0].shape[:2], np.uint8) for _ in self.said]
        for place, parts in scored(self.net, views, [one.layer for one in self.said], tiling):
            for label, part in zip(labels, parts):
                label[place] = best_class(part)
            for sink, part in zip(sinks, parts):
                sink(place, part)
        return labels

    def _again(self, views: Sequence[np.ndarray], number: int, tiling: Tiling | None) -> np.ndarray:
        """The scores of a labeling, computed anew."""
        prediction = self.look(views, "", tiling, keep=True)
        return (prediction, *prediction.more)[number].scores

    def views(self, images: Sequence[Picture], upright: bool = False) -> list[np.ndarray]:
        """The images as the inputs of the net read them, of one size.

        Raises:
            SampleError: an image that cannot be read, or sizes that differ.
        """
        files = list(images)
        if len(files) == 1 and isinstance(files[0], (str, Path)):
            files = list(self.trained.folder.companions(Path(files[0])))
        if len(files) != len(self.net.inputs):
            names = ", ".join(one.name for one in self.net.inputs)
            raise SampleError(f"expected {len(self.net.inputs)} images ({names}), found {len(files)}")
        views = []
        for one, file in zip(self.net.inputs, files):
            if not isinstance(file, (str, Path)):
                views.append(from_memory(file, one, upright))
            elif isinstance(one, Color):
                views.append(read_photo(file, upright))
            else:
                views.append(one.read(file))
        if len({view.shape[:2] for view in views}) > 1:
            sizes = ", ".join(f"{one.name} {view.shape[:2]}" for one, view in zip(self.net.inputs, views))
            raise SampleError(f"{name_of(files[0])}: expected inputs of one size (H, W), found {sizes}")
        return views

    def require_photographs(self) -> None:
        """Raise SampleError where the net looks at anything but a photograph."""
        others = [one.name for one in self.net.inputs if not isinstance(one, Color)]
        if others:
            raise SampleError(
                f"the net looks at {', '.join(others)} too, and here there are photographs alone"
            )


def geometry(trained: Trained) -> Geometry:
    """How far the layers of a net look.

    Raises:
        SampleError: a layer that looks at the whole of an image, or is not known.
    """
    layers = [one.score for one in trained.labelings]
    return Geometry.read(trained.net, layers) if trained.net else Geometry.of(trained.build(), layers)


def _put(whole: np.ndarray, place: Place, scores: np.ndarray) -> None:
    whole[everywhere(place)] = scores


def name_of(image: Picture) -> str:
    """What an image is called in messages and files."""
    return str(image) if isinstance(image, (str, Path)) else "image"


def load(
    weights: str | Path,
    net: str | Path | None = None,
    model: str | None = None,
    classes: str | Path | None = None,
    gpu: int | None = None,
) -> Model:
    """The trained net of a run or of a file of weights.

    Args:
        weights: the folder of a run (its newest snapshot counts), or a file.
        net, model: a deploy prototxt, or an id of `nets.MODELS`, where the weights lie in no run.
        classes: a file with the names of the classes, one a line; by default the run's or the data set's.
        gpu: the GPU to compute on, for the whole process as in pycaffe; None for the CPU.

    Raises:
        SampleError: what is missing, and how to make it.
        ValueError: weights that do not fit, or an unknown model.
        RuntimeError: there is no such GPU.
    """
    trained = Trained.find(weights, net, model)
    listed = class_list(trained, Path(classes) if classes else None)
    use_device(gpu)
    return Model.of(trained, listed)
