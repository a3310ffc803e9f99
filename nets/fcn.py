"""A fully convolutional net, whatever it reads and says: data, trunk, heads, losses.

Every builder takes `form` ('train', 'val' or 'deploy') and `Options`, and returns a NetParameter.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from caffe import NetSpec
from caffe.net_spec import Top

from .blocks import FROZEN, LEARNED, Labeling, Options, Task, begin, softmax_loss
from .heads import head8, head16, head32
from .trunk import Stream

#: Writes the scores of a labeling into a net: from the trunk's last top, so many classes, names that end so.
Head = Callable[..., None]
HEADS: dict[int, Head] = {32: head32, 16: head16, 8: head8}


def fcn(form: str, options: Options, task: Task, head: Head, normalize: bool = False) -> Any:
    """One trunk, and a head for each labeling. `normalize`: the model's own kind of loss."""
    n = start(form, options, task)
    top = options.arch.convolutional(n, drop=form != "deploy")
    return whole(n, form, options, task, lambda *to, **named: head(n, top, *to, **named), normalize)


def start(form: str, options: Options, task: Task) -> NetSpec:
    """A net with its inputs and labels in place."""
    data = task.layers() if options.data is None else options.data
    labels = tuple(labeling.label for labeling in task.labelings)
    return begin(form, data, options.size or task.size, task.inputs, labels)


def whole(
    n: NetSpec,
    form: str,
    options: Options,
    task: Task,
    head: Callable[..., None],
    normalize: bool = False,
) -> Any:
    """The net with the scores that `head(classes, suffix=...)` writes for each labeling, and their losses."""
    for labeling in task.labelings:
        head(labeling.classes or options.classes, suffix=labeling.suffix)
        if form != "deploy":
            own = options.normalize
            n[labeling.loss] = softmax_loss(
                n[labeling.score], n[labeling.label], normalize if own is None else own
            )
    proto = n.to_proto()
    return doubled(proto) if options.double_bias else proto


def doubled(proto: Any) -> Any:
    """The net with twice the rate, and no decay, for the biases of layers that say nothing of rates."""
    for layer in proto.layer:
        if layer.type in ("Convolution", "InnerProduct") and not layer.param:
            for multipliers in LEARNED:
                layer.param.add(**multipliers)
    return proto


def frozen(proto: Any, learning: str) -> Any:
    """The net in which nothing learns but one layer."""
    for layer in proto.layer:
        if layer.param and layer.name != learning:
            count = len(layer.param)
            del layer.param[:]
            for _ in range(count):
                layer.param.add(**FROZEN[0])
    return proto


__all__ = ["HEADS", "Head", "Labeling", "Stream", "Task", "Top", "fcn", "frozen", "start", "whole"]
