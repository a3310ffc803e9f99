"""Training, scoring and using fully convolutional networks: what the command `fcn` does, as a library.

Rooms: `fcn.data` (what a net is trained and scored on), `fcn.train`, `fcn.score`, `fcn.infer` (a trained net
used), `fcn.serve` (the same as a local page), `fcn.weights` (files of weights), `fcn.export` (nets for other
frameworks), `fcn.fetching` (files from the network), `fcn.demo` (the paper on a laptop), `fcn.commands` (the
command line). They stand on a few modules here: a `Job` is what a stage is, a `Run` is the folder it leaves,
a `Trained` net is found in a run or a file, a `Predictor` labels images.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .infer import Model


def to_torch(net: Any) -> Any:
    """A `caffe.Net` as a `torch.nn.Module`: see `fcn.export.to_torch`."""
    from .export import to_torch as made

    return made(net)


def load(weights: str | Path, **options: Any) -> Model:
    """A trained net, ready for `load("runs/voc-fcn8s").predict("cat.jpg")`: see `fcn.infer.load`."""
    from .infer import load as loaded

    return loaded(weights, **options)
