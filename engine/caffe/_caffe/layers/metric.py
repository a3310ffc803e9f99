"""Layers that judge scores and have no gradient: Accuracy, ArgMax."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from ..blob import Blob
from ..layer import Arity, Layer
from ..memory import scalar
from ..registry import register
from .checks import predictions, read_labels, shown


class _Metric(Layer):
    """No gradient flows through a metric."""

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        self.check(
            not any(propagate_down),
            "has no gradient: take it out of the training net, or set propagate_down: false for its bottoms",
        )


@register("Accuracy")
class Accuracy(_Metric):
    """Caffe's Accuracy: the share of labels that score among the best `top_k` classes.

    Ties count against the label; an item whose score is NaN counts as right. The second top is the
    accuracy of each class, 0 for a class without labels. Labels equal to `ignore_label` do not count.

    Raises:
        LayerError: the number of labels does not fit, a label is no class, or `top_k` exceeds the classes.
    """

    label_bottoms = (1,)
    reads = ("accuracy_param",)
    bottoms = Arity(2)
    tops = Arity(1, 2)

    def reshape(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        param = self.layer_param.accuracy_param
        self._shape = predictions(self, bottom, param.axis)
        self._ignore = param.ignore_label if param.HasField("ignore_label") else None
        self._top_k = param.top_k
        classes = self._shape[1]
        self.check(
            param.top_k <= classes,
            f"top_k must be less than or equal to the number of classes: top_k {param.top_k}, "
            f"{classes} classes in {shown(self, bottom, 0)}",
        )
        top[0].resize(())
        if len(top) > 1:
            top[1].resize((classes,))

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        ids, ignored, counted = read_labels(self, bottom, self._shape, self._ignore)
        scores = bottom[0].value_as(self._shape)
        # The label's own score is among those that reach it, unless it is NaN.
        right = (scores >= scores.gather(1, ids)).sum(1, keepdim=True) <= self._top_k
        if ignored is not None:
            right &= ~ignored
        share = torch.count_nonzero(right).to(scores.dtype)
        top[0].put(torch.div(share, scalar(max(counted, 1), share.dtype), out=top[0].value))
        if len(top) > 1:
            present, found = (
                torch.bincount(ids.view(-1), chosen.view(-1).to(scores.dtype), self._shape[1])
                for chosen in (torch.ones_like(right) if ignored is None else ~ignored, right)
            )
            top[1].put(found / present.clamp_min(1))


@register("ArgMax")
class ArgMax(_Metric):
    """Caffe's ArgMax: the indices of the `top_k` largest values, best first; ties: larger index first.

    With `axis` that axis is searched and becomes `top_k` long, holding indices, or the values if
    `out_max_val`. Without, each item is searched whole: the top is (N, 1, top_k), or (N, 2, top_k) with
    the indices and the values if `out_max_val`, and has as many axes as the bottom but at least 3.

    Raises:
        LayerError: `top_k` is 0 or more than there are values.
    """

    reads = ("argmax_param",)
    bottoms = Arity(1)
    tops = Arity(1)

    def reshape(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        param, dims = self.layer_param.argmax_param, bottom[0].dims
        self.check(dims, f"{shown(self, bottom, 0)} is a scalar: there is nothing to search")
        whole = not param.HasField("axis")
        axis = 1 if whole else bottom[0].axis(param.axis)
        size = math.prod(dims[1:]) if whole else dims[axis]
        self.check(
            1 <= param.top_k <= size,
            f"top_k must be at least 1 and at most the {size} values searched in {shown(self, bottom, 0)}: "
            f"{param.top_k}",
        )
        self._axis, self._whole = axis, whole
        if whole:
            ones = (1,) * (len(dims) - 3)
            top[0].resize((dims[0], 2 if param.out_max_val else 1, param.top_k, *ones))
        else:
            top[0].resize((*dims[:axis], param.top_k, *dims[axis + 1 :]))

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        param, values = self.layer_param.argmax_param, bottom[0].value
        if self._whole:
            values = values.view(values.shape[0], math.prod(values.shape[1:]))
        flipped = values.flip(self._axis)  # the first of equal values is then the one of larger index
        if param.top_k == 1:
            order = flipped.argmax(self._axis, keepdim=True)
        else:
            order = flipped.argsort(dim=self._axis, descending=True, stable=True)
            order = order.narrow(self._axis, 0, param.top_k)
        index = values.shape[self._axis] - 1 - order
        best = values.gather(self._axis, index) if param.out_max_val else index.to(values.dtype)
        if self._whole and param.out_max_val:
            best = torch.stack((index.to(values.dtype), best), 1)
        top[0].put(best)
