"""The image classifiers that surgery starts from, in fc form: VGG16, CaffeNet and GoogLeNet.

Layer names and shapes are those of the public caffemodels (fc6, fc7, fc8), so their weights load by name.
Layers carry He fillers (biases zero): a fresh net can be trained, or stand in for missing weights.
"""

from __future__ import annotations

from typing import Any

from caffe import layers as L

from .blocks import LEARNED, Options, begin

HE = {"weight_filler": {"type": "msra"}}


def classifier(form: str, options: Options) -> Any:
    """A trunk and its scores: 'deploy' ends in `prob` (N x K), 'train' in `loss`, 'val' adds `accuracy`.

    Images come in the trunk's size; labels hold one class per image (N values).
    """
    n = begin(form, options.data, options.size or options.arch.size)
    top = options.arch.classifier(n, drop=form != "deploy", fill=HE)
    scores = L.InnerProduct(top, num_output=options.classes, param=LEARNED, **HE)
    n[options.arch.scores] = scores
    if form == "deploy":
        n.prob = L.Softmax(scores)
        return n.to_proto()
    n.loss = L.SoftmaxWithLoss(scores, n.label)
    if form == "val":
        n.accuracy = L.Accuracy(scores, n.label)
    return n.to_proto()
