"""Prototxt generators: two trunks, three heads, and the table of models made from them.

>>> import nets
>>> proto = nets.build('voc-fcn8s', 'train', data=nets.pascal(voc_dir='VOC2012', sbd_dir=None))
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .alexnet import CAFFENET, AlexNet
from .blocks import Options, PythonData
from .classifiers import classifier
from .trunk import Trunk
from .vgg import VGG, VGG16
from .voc import fcn8s, fcn8s_atonce, fcn16s, fcn32s, fcn_alexnet, pascal


@dataclass(frozen=True)
class Model:
    """One row of the table: how to build a net, and the model whose weights it starts from."""

    build: Callable[[str, Options], Any]
    classes: int
    arch: Trunk
    stride: int | None = None
    parent: str | None = None

    @property
    def forms(self) -> tuple[str, ...]:
        """The forms that need no data layer of the caller's."""
        return ("train", "val", "deploy") if self.stride else ("deploy",)


MODELS: dict[str, Model] = {
    "vgg16": Model(classifier, 1000, VGG16),
    "caffenet": Model(classifier, 1000, CAFFENET),
    "voc-fcn32s": Model(fcn32s, 21, VGG16, stride=32, parent="vgg16"),
    "voc-fcn16s": Model(fcn16s, 21, VGG16, stride=16, parent="voc-fcn32s"),
    "voc-fcn8s": Model(fcn8s, 21, VGG16, stride=8, parent="voc-fcn16s"),
    "voc-fcn8s-atonce": Model(fcn8s_atonce, 21, VGG16, stride=8, parent="vgg16"),
    "voc-fcn-alexnet": Model(fcn_alexnet, 21, CAFFENET, stride=32, parent="caffenet"),
}
#: The paper's chain: each starts from the one before it, the first from a classifier.
CHAIN = ("voc-fcn32s", "voc-fcn16s", "voc-fcn8s")


def get(model: str) -> Model:
    """The row of `model`; ValueError lists the known ids."""
    if model not in MODELS:
        raise ValueError(f"no model is called '{model}'; there are {', '.join(MODELS)}")
    return MODELS[model]


def build(model: str, form: str, **options: Any) -> Any:
    """NetParameter of `model` in `form` ('train', 'val', 'deploy'); `options` are the fields of `Options`."""
    row = get(model)
    return row.build(form, Options(**{"classes": row.classes, "arch": row.arch, **options}))


__all__ = [
    "CAFFENET",
    "CHAIN",
    "MODELS",
    "AlexNet",
    "Model",
    "Options",
    "PythonData",
    "Trunk",
    "VGG",
    "VGG16",
    "build",
    "get",
    "pascal",
]
