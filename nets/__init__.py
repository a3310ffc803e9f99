"""Prototxt generators: trunks, heads, and the table of models made from them.

>>> import nets
>>> proto = nets.build('voc-fcn8s', 'train', data=nets.pascal(voc_dir='VOC2012', sbd_dir=None))
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from . import nyud as nyudv2
from .alexnet import CAFFENET, AlexNet
from .blocks import Labeling, Options, PythonData, Task
from .classifiers import classifier
from .googlenet import GOOGLENET, GoogLeNet
from .pascalcontext import CONTEXT, context, context_fcn
from .siftflow import SIFTFLOW, siftflow, siftflow_fcn
from .trunk import Stream, Trunk
from .vgg import VGG, VGG16
from .voc import VOC, fcn8s_atonce, fcn32s_fixed, fcn_alexnet, fcn_googlenet, pascal, voc_fcn

nyud = nyudv2.nyud


@dataclass(frozen=True)
class Model:
    """One row of the table.

    Attributes:
        build: makes the net of a form.
        classes: score channels; of the first labeling, where there are more.
        arch: the trunk.
        stride: of the finest scores; None for a classifier, which gives one label to an image.
        parents: the models whose weights it starts from; more than one where a net has more than one trunk.
        suffixes: of the layers that get the weights of each parent.
        widened: layer of the parent -> layer that has its filters and more input channels.
        task: what it reads and says; None for a classifier.
    """

    build: Callable[[str, Options], Any]
    classes: int
    arch: Trunk
    stride: int | None = None
    parents: tuple[str, ...] = ()
    suffixes: tuple[str, ...] = ("",)
    widened: Mapping[str, str] = field(default_factory=dict)
    task: Task | None = None

    @property
    def forms(self) -> tuple[str, ...]:
        """The forms that need no data layer of the caller's."""
        return ("train", "val", "deploy") if self.stride else ("deploy",)

    @property
    def labelings(self) -> tuple[Labeling, ...]:
        """What it says of each pixel; of a classifier its one label."""
        return self.task.labelings if self.task else (Labeling(),)


MODELS: dict[str, Model] = {
    "vgg16": Model(classifier, 1000, VGG16),
    "caffenet": Model(classifier, 1000, CAFFENET),
    "googlenet": Model(classifier, 1000, GOOGLENET),
    "voc-fcn32s": Model(partial(voc_fcn, 32), 21, VGG16, 32, ("vgg16",), task=VOC),
    "voc-fcn16s": Model(partial(voc_fcn, 16), 21, VGG16, 16, ("voc-fcn32s",), task=VOC),
    "voc-fcn8s": Model(partial(voc_fcn, 8), 21, VGG16, 8, ("voc-fcn16s",), task=VOC),
    "voc-fcn8s-atonce": Model(fcn8s_atonce, 21, VGG16, 8, ("vgg16",), task=VOC),
    "voc-fcn32s-fixed": Model(fcn32s_fixed, 21, VGG16, 32, ("vgg16",), task=VOC),
    "voc-fcn-alexnet": Model(fcn_alexnet, 21, CAFFENET, 32, ("caffenet",), task=VOC),
    "voc-fcn-googlenet": Model(fcn_googlenet, 21, GOOGLENET, 32, ("googlenet",), task=VOC),
    "nyud-fcn32s-color": Model(
        partial(nyudv2.single, nyudv2.COLOR), 40, VGG16, 32, ("vgg16",), task=nyudv2.COLOR
    ),
    "nyud-fcn32s-hha": Model(partial(nyudv2.single, nyudv2.HHA), 40, VGG16, 32, ("vgg16",), task=nyudv2.HHA),
    "nyud-fcn32s-color-d": Model(
        nyudv2.early_fusion, 40, VGG16, 32, ("vgg16",), widened=nyudv2.WIDENED, task=nyudv2.COLOR_DEPTH
    ),
    "nyud-fcn32s-color-hha": Model(
        nyudv2.late_fusion,
        40,
        VGG16,
        32,
        ("nyud-fcn32s-color", "nyud-fcn32s-hha"),
        nyudv2.COLOR_HHA.views,
        task=nyudv2.COLOR_HHA,
    ),
    "siftflow-fcn32s": Model(partial(siftflow_fcn, 32), 33, VGG16, 32, ("vgg16",), task=SIFTFLOW),
    "siftflow-fcn16s": Model(partial(siftflow_fcn, 16), 33, VGG16, 16, ("siftflow-fcn32s",), task=SIFTFLOW),
    "siftflow-fcn8s": Model(partial(siftflow_fcn, 8), 33, VGG16, 8, ("siftflow-fcn16s",), task=SIFTFLOW),
    "pascalcontext-fcn32s": Model(partial(context_fcn, 32), 60, VGG16, 32, ("vgg16",), task=CONTEXT),
    "pascalcontext-fcn16s": Model(
        partial(context_fcn, 16), 60, VGG16, 16, ("pascalcontext-fcn32s",), task=CONTEXT
    ),
    "pascalcontext-fcn8s": Model(
        partial(context_fcn, 8), 60, VGG16, 8, ("pascalcontext-fcn16s",), task=CONTEXT
    ),
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
    "GOOGLENET",
    "MODELS",
    "VGG",
    "VGG16",
    "AlexNet",
    "GoogLeNet",
    "Labeling",
    "Model",
    "Options",
    "PythonData",
    "Stream",
    "Task",
    "Trunk",
    "build",
    "context",
    "get",
    "nyud",
    "pascal",
    "siftflow",
]
