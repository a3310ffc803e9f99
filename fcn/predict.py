"""An image through a deploy net, and where that net and its weights are found."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import nets
from fcn.runs import Run
from voc_layers.reading import VOC_MEAN, ClassList, DataError, read_classes, to_blob


def use_device(gpu: int | None) -> None:
    """Tell caffe to run on a GPU, or on the CPU if None."""
    import caffe

    if gpu is None:
        caffe.set_mode_cpu()
    else:
        caffe.set_mode_gpu()
        caffe.set_device(gpu)


@contextmanager
def quiet() -> Iterator[None]:
    """Show caffe's warnings only: its log of a net being built would bury what a command prints."""
    import caffe

    assert caffe.Net  # loads the engine, and with it its log
    handlers = [(handler, handler.level) for handler in logging.getLogger("caffe").handlers]
    for handler, _ in handlers:
        handler.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for handler, level in handlers:
            handler.setLevel(level)


def open_net(
    path: str | Path | None, model: str | None = None, weights: Path | None = None, **options: Any
) -> Any:
    """A `caffe.Net` for testing: of the prototxt, or if there is none the deploy net of `model`.

    `options` are those of `nets.build`. Without `weights` its parameters are what its fillers make.
    """
    import caffe

    loaded = {"weights": str(weights)} if weights else {}
    with quiet():
        if path is not None:
            return caffe.Net(str(path), caffe.TEST, **loaded)
        assert model is not None
        with tempfile.TemporaryDirectory() as folder:
            built = Path(folder, "deploy.prototxt")
            built.write_text(str(nets.build(model, "deploy", **options)))
            return caffe.Net(str(built), caffe.TEST, **loaded)


@dataclass(frozen=True)
class Source:
    """A deploy net and its weights. net: a prototxt; model: its id; listed: the classes it was trained on."""

    net: Path | None
    weights: Path
    model: str | None = None
    listed: ClassList | None = None

    @classmethod
    def find(cls, weights: str | Path, net: str | Path | None = None, model: str | None = None) -> Source:
        """`weights` is a weights file or the folder of a run (then its newest snapshot).

        Without `net` and `model` the run that the weights lie in says which net they are for. DataError lists
        what is missing.
        """
        weights = Path(weights)
        run = Run(weights.parent.parent if weights.parent.name == "snapshot" else weights)
        if weights.is_dir():
            found = run.newest()
            if found is None:
                raise DataError(
                    f"{weights}: expected a run with snapshots, found none in "
                    f"{run.prefix.parent}; make them: python solve.py {model or weights.name}"
                )
            weights = found
        elif not weights.is_file():
            raise DataError(
                f"{weights}: expected a weights file (.caffemodel or .caffemodel.h5) or the "
                "folder of a run, found nothing"
            )
        info = run.read_info()
        if net is None and model in (None, info.get("model")) and run.net("deploy").is_file():
            net = run.net("deploy")
        model = model or info.get("model")
        if net is None and model is None:
            raise DataError(
                f"{weights}: which net is it for? Give --net deploy.prototxt or --model, one of "
                f"{', '.join(nets.MODELS)}"
            )
        if net is not None and not Path(net).is_file():
            raise DataError(f"{net}: expected a deploy prototxt, found nothing")
        return cls(Path(net) if net else None, weights, model, _listed(info))

    def load(self, classes: int | None = None, mean: Sequence[float] = VOC_MEAN) -> Predictor:
        """The net with its weights. classes: of a net built from its model id (default: the model's)."""
        options = {"classes": classes} if classes else {}
        return Predictor(open_net(self.net, self.model, self.weights, **options), mean)


def _listed(info: dict[str, Any]) -> ClassList | None:
    """The class list of the data that a run.json names."""
    path = Path(info.get("voc_dir", ""), "classes.txt")
    if path.is_file():
        return read_classes(path)
    return ClassList(tuple(info["class_names"])) if info.get("class_names") else None


class Predictor:
    """A `caffe.Net` with one input blob, 1 x 3 x H x W, that gives a score blob, 1 x K x H x W."""

    def __init__(self, net: Any, mean: Sequence[float] = VOC_MEAN, layer: str = "score"):
        if len(net.inputs) != 1:
            raise DataError(
                f"expected a deploy net with one input, found inputs {list(net.inputs)}: a net "
                "with a data layer reads its own images"
            )
        if layer not in net.blobs:
            raise DataError(f"the net has no blob '{layer}'; it has {', '.join(net.blobs)}")
        self.net, self.mean, self.layer = net, mean, layer

    @property
    def classes(self) -> int:
        return int(self.net.blobs[self.layer].data.shape[1])

    def scores(self, image: np.ndarray) -> np.ndarray:
        """Class scores, float32 K x H x W, of an RGB image, uint8 H x W x 3. The array is the net's own."""
        data = to_blob(image, self.mean)
        blob = self.net.blobs[self.net.inputs[0]]
        if blob.data.shape != (1, *data.shape):
            blob.reshape(1, *data.shape)
        blob.data[...] = data
        self.net.forward()
        return self.net.blobs[self.layer].data[0]

    def labels(self, image: np.ndarray) -> np.ndarray:
        """The class of each pixel, uint8 H x W."""
        return self.scores(image).argmax(0).astype(np.uint8)
