"""Random weights for a classifier, to train from or to stand in where the real ones are missing."""

from __future__ import annotations

from pathlib import Path

import caffe
import nets

from ..engine import open_net
from .exchange import write


def save_random(
    model: str,
    path: str | Path,
    *,
    seed: int = 1337,
    arch: nets.Trunk | None = None,
    classes: int | None = None,
    gain: tuple[float, float] = (1.0, 1.0),
) -> None:
    """Write weights for the classifier `model` ('vgg16', 'caffenet'): He-filled, zero biases.

    In the format that the name of `path` ends in, see `exchange.write`.

    Args:
        arch, classes: as in `nets.build`; the model's own by default.
        gain: what the weights of the last layer (second) and of all others (first) are multiplied by. With
            (1, 0) all classes score alike at first, as in an FCN (Long et al., section 4.3).

    Raises:
        ValueError: a model without fillers of its own, or a name that ends in no format.
    """
    row = nets.get(model)
    if row.stride is not None:
        raise ValueError(
            f"'{model}' starts from {', '.join(row.parents)}: make random weights for the classifier, one "
            f"of {', '.join(name for name, m in nets.MODELS.items() if m.stride is None)}"
        )
    caffe.set_random_seed(seed)
    trunk = arch or row.arch
    net = open_net(None, model, arch=trunk, classes=classes or row.classes)
    for layer, blobs in net.params.items():
        blobs[0].data[...] *= gain[layer == trunk.scores]
    write(net, path)
