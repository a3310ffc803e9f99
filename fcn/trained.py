"""A trained net on disk: which prototxt and which weights, found in a run or named one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nets
from voc_layers.facts import MEAN_BGR
from voc_layers.folder import Folder, VocFolder
from voc_layers.reading import SampleError

from .data.sets import folder_of
from .engine import open_net, quiet
from .job import Job
from .predictor import Predictor
from .protocols import NetLike
from .runs import Run
from .weights.loading import load


@dataclass(frozen=True)
class Trained:
    """A deploy net and its weights.

    Attributes:
        weights: the file.
        net: a deploy prototxt; None to build that of `model`.
        model: its id, if known.
        job: what the run is that the weights lie in: it knows the classes and the mean.
    """

    weights: Path
    net: Path | None = None
    model: str | None = None
    job: Job | None = None

    @classmethod
    def find(cls, weights: str | Path, net: str | Path | None = None, model: str | None = None) -> Trained:
        """What `weights` means: a file, or the folder of a run (then its newest snapshot).

        Without `net` and `model` the run that the weights lie in says which net they are for.

        Raises:
            SampleError: what is missing, and how to make it.
            ValueError: an unknown model.
        """
        weights = Path(weights)
        run = Run.holding(weights) or Run(weights)
        if weights.is_dir():
            weights = _newest(run, model or weights.name)
        elif not weights.is_file():
            raise SampleError(
                f"{weights}: expected a weights file (.caffemodel or .caffemodel.h5) or the "
                "folder of a run, found nothing"
            )
        job = run.job()
        own = job.model if job else None
        if net is None and model in (None, own) and run.net("deploy").is_file():
            net = run.net("deploy")
        model = model or own
        if net is None and model is None:
            raise SampleError(
                f"{weights}: which net is it for? Give --net deploy.prototxt or --model, one of "
                f"{', '.join(nets.MODELS)}"
            )
        if net is not None and not Path(net).is_file():
            raise SampleError(f"{net}: expected a deploy prototxt, found nothing")
        if net is None:
            nets.get(str(model))  # an unknown id is said before anything is built
        return cls(weights, Path(net) if net else None, model, job)

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The classes it was trained on, if its run says so."""
        return self.job.class_names if self.job else None

    @property
    def labelings(self) -> tuple[nets.Labeling, ...]:
        """What the net says of each pixel, as far as its model is known."""
        return nets.get(self.model).labelings if self.model else (nets.Labeling(),)

    @property
    def folder(self) -> Folder:
        """A folder of the kind that the net is for: its run's, or that of its model's data set."""
        own = self.job.folder if self.job else None
        return own or (folder_of(self.model) if self.model else VocFolder(Path()))

    def empty(self, classes: int | None = None) -> NetLike:
        """The net without the weights. classes: of a net built from its model id; by default its run's."""
        return open_net(self.net, self.model, **self._options(classes))

    def build(self) -> Any:
        """The NetParameter of a net that is known by its model alone."""
        return nets.build(str(self.model), "deploy", **self._options(None))

    def load(self, classes: int | None = None, mean: Sequence[float] = MEAN_BGR) -> Predictor:
        """The net with its weights, ready for images.

        Args:
            classes: see `empty`.
            mean: B, G, R to subtract from images; a run, and a model of another data set, know their own.

        Raises:
            ValueError: weights that do not fit, or do not fill the net.
        """
        net = self.empty(classes)
        layer = self.labelings[0].score
        with quiet():
            load(net, self.weights)
        if self.job:
            return Predictor(net, layer=layer, inputs=self.job.inputs)
        own = () if isinstance(self.folder, VocFolder) else self.folder.inputs
        return Predictor(net, mean, layer, own)

    def _options(self, classes: int | None) -> dict[str, Any]:
        given: dict[str, Any] = {"classes": classes} if classes else {}
        if self.job and self.job.model == self.model:
            return {"classes": len(self.job.class_names), "arch": self.job.arch, **given}
        return given


def _newest(run: Run, model: str) -> Path:
    found = run.newest()
    if found is None:
        raise SampleError(
            f"{run.path}: expected a run with snapshots, found none in {run.prefix.parent}; make them: "
            f"fcn train {model}"
        )
    return found
