"""The image classifiers that surgery starts from, in fc form: VGG16 and CaffeNet.

Layer names and shapes are those of the public caffemodels (fc6, fc7, fc8), so their weights load by name.
Layers carry He fillers (biases zero): a fresh net can be trained, or stand in for missing weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from caffe import layers as L

from .alexnet import CAFFENET, AlexNet
from .blocks import LEARNED, PythonData, begin
from .vgg import VGG, VGG16

HE = {"weight_filler": {"type": "msra"}}


def vgg16(
    form: str,
    data: Mapping[str, PythonData] | None = None,
    classes: int = 1000,
    arch: VGG = VGG16,
    size: tuple[int, int] | None = None,
) -> Any:
    return _net(form, data, classes, arch, size)


def caffenet(
    form: str,
    data: Mapping[str, PythonData] | None = None,
    classes: int = 1000,
    arch: AlexNet = CAFFENET,
    size: tuple[int, int] | None = None,
) -> Any:
    return _net(form, data, classes, arch, size)


def _net(
    form: str,
    data: Mapping[str, PythonData] | None,
    classes: int,
    arch: VGG | AlexNet,
    size: tuple[int, int] | None,
) -> Any:
    """'deploy' ends in ``prob`` (N x K), 'train' in ``loss``, and 'val' adds ``accuracy``.

    Images come in ``arch.size``; labels hold one class per image (N values).
    """
    n = begin(form, data or {}, size or arch.size)
    top = arch.classifier(n, drop=form != "deploy", fill=HE)
    n.fc8 = L.InnerProduct(top, num_output=classes, param=LEARNED, **HE)
    if form == "deploy":
        n.prob = L.Softmax(n.fc8)
        return n.to_proto()
    n.loss = L.SoftmaxWithLoss(n.fc8, n.label)
    if form == "val":
        n.accuracy = L.Accuracy(n.fc8, n.label)
    return n.to_proto()
