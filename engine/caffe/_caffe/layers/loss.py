"""The seven losses. Shapes: O items before the class axis, K classes on it, I items after; N = dim 0.

Top 0 is a scalar; gradients are scaled by its diff, which holds the loss weight. Gradients are written
out: the normaliser, the ignored labels and the clamps are not what differentiation would give.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ...proto.caffe_pb2 import BlobProto, HingeLossParameter, LossParameter
from .. import device
from ..blob import Blob, make_blob
from ..formats.blobproto import proto_array
from ..formats.proto_io import read_binary
from ..layer import Arity, Call, Layer
from ..memory import scalar
from ..registry import register
from .checks import (
    KeptLabels,
    Labels,
    check_legacy,
    item_labels,
    predictions,
    read_labels,
    score_places,
    shown,
)  # fmt: skip

FLT_MIN = torch.finfo(torch.float32).tiny
LOG_THRESHOLD = 1e-20
_FEW = 1 << 12  #: labels, up to which NumPy looks at them in less time than torch takes to start


class _Loss(Layer):
    """What the losses share: two bottoms of equal dim 0, and a scalar top that is made if it is missing."""

    bottoms = Arity(2)
    tops = Arity(1)
    auto_top = True
    is_loss = True
    label_bottoms: ClassVar[tuple[int, ...]] = (1,)

    def reshape(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        self.check(
            bottom[0].dims and bottom[0].dims[:1] == bottom[1].dims[:1],
            "The data and label should have the same first dimension: "
            f"{shown(self, bottom, 0)}, {shown(self, bottom, 1)}",
        )
        top[0].resize(())

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        for i in range(1 + (1 not in self.label_bottoms), len(bottom)):
            if propagate_down[i]:
                self.fail(
                    f"cannot backpropagate to label inputs: {shown(self, bottom, i)}; "
                    "set propagate_down: false for it"
                )
        if any(propagate_down):
            grad = self.gradient(bottom, top[0].grad)
            if propagate_down[0]:
                bottom[0].put_grad(grad)
            if 1 not in self.label_bottoms and propagate_down[1]:
                check_legacy(self, bottom, 1)
                bottom[1].put_grad(-grad)

    def gradient(self, bottom: Sequence[Blob], weight: Tensor) -> Tensor:
        """The gradient of bottom 0, times the scalar `weight`; that of a second input is its opposite."""
        self.fail("defines no gradient()")


def _normalization(
    param: LossParameter, default: LossParameter.NormalizationMode
) -> LossParameter.NormalizationMode:
    """The normalisation mode; the legacy `normalize` counts only where `normalization` is not set."""
    if param.HasField("normalization"):
        return param.normalization
    if param.HasField("normalize"):
        return LossParameter.VALID if param.normalize else LossParameter.BATCH_SIZE
    return default


def _normaliser(mode: LossParameter.NormalizationMode, outer: int, inner: int, valid: int) -> int:
    """What the summed loss is divided by: never less than 1 (Caffe: GetNormalizer)."""
    sizes = {
        LossParameter.FULL: outer * inner,
        LossParameter.VALID: valid,
        LossParameter.BATCH_SIZE: outer,
        LossParameter.NONE: 1,
    }
    return max(1, sizes[mode])


def _ignored(param: LossParameter) -> int | None:
    return param.ignore_label if param.HasField("ignore_label") else None


class _Counted(NamedTuple):
    """What a softmax loss saves, beside the probabilities: the labels, and what the sum is divided by."""

    labels: Labels
    norm: int
    any_nan: Tensor | bool = True  #: whether a probability of a label is not a number
    places: np.ndarray | None = None  #: where the scores of the labels are, if that is known


class _SoftmaxLoss(_Loss):
    """A loss over the softmax of bottom 0; the probabilities are the second top, which shares memory."""

    tops = Arity(1, 2)
    saves = "the probabilities, the labels and the normaliser"

    def setup(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        self._prob = make_blob()
        self._ignore = _ignored(self.layer_param.loss_param)
        self._mode = _normalization(self.layer_param.loss_param, LossParameter.VALID)

    def _reshape(self, bottom: Sequence[Blob], top: Sequence[Blob], axis: int) -> None:
        self._shape = predictions(self, bottom, axis)
        self._prob.resize(bottom[0].dims)
        if len(top) > 1:
            top[1].resize(bottom[0].dims)
            top[1].share_data(self._prob)

    def _predict(self, bottom: Sequence[Blob]) -> tuple[Tensor, _Counted]:
        """The probabilities, (O, K, I), the labels and the normaliser."""
        labels = read_labels(self, bottom, self._shape, self._ignore)
        outer, _, inner = self._shape
        self.saved = _Counted(labels, _normaliser(self._mode, outer, inner, labels.counted))
        prob = torch.softmax(bottom[0].value_as(self._shape), 1, out=self._prob.value_as(self._shape))
        self._prob.put(prob)
        return prob, self.saved

    def _predicted(self) -> tuple[Tensor, _Counted]:
        """What the last forward predicted, as `_predict` returned it."""
        counted = self.recall(_Counted)
        return self._prob.value_as(self._shape), counted


@register("SoftmaxWithLoss")
class SoftmaxWithLoss(_SoftmaxLoss):
    """Caffe's SoftmaxWithLoss: -log of the label's softmax probability, summed and normalised.

    Bottom 0 has K classes on `softmax_param.axis`, bottom 1 O*I labels. Probabilities are clamped at
    FLT_MIN, so a label costs at most 87.34; the gradient, p - 1 for the label and p for the others,
    does not know of it. Labels equal to `loss_param.ignore_label` cost nothing and get no gradient.

    Raises:
        LayerError: the number of labels is not O*I, or a label is no class.
    """

    reads = ("softmax_param", "loss_param")
    without_effect = ("softmax_param.engine",)

    def reshape(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        super().reshape(bottom, top)
        self._reshape(bottom, top, self.layer_param.softmax_param.axis)

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        prob, ((ids, ignored, _), norm, *_) = self._predict(bottom)
        logs = prob.gather(1, ids).clamp_min_(FLT_MIN).log_()
        if ignored is not None:
            self.saved = self.saved._replace(any_nan=logs.sum().isnan())
            logs.masked_fill_(ignored, 0)
        # No logarithm of a probability is positive. 0, not -0, if every label is ignored.
        top[0].put(torch.div(logs.sum().abs_(), scalar(norm, logs.dtype), out=top[0].value))

    def gradient(self, bottom: Sequence[Blob], weight: Tensor) -> Tensor:
        prob, ((ids, ignored, _), norm, any_nan, _) = self._predicted()
        scale = weight / scalar(norm, weight.dtype)
        if ignored is not None:
            scale = torch.where(ignored, 0, scale)
        grad = torch.mul(prob, scale, out=bottom[0].grad_as(self._shape))
        grad.scatter_add_(1, ids, scale.neg().expand(ids.shape))
        # 0 * NaN; a device does it in less time than the host would wait to be told whether it has to.
        if ignored is not None and (not grad.is_cpu or any_nan):
            grad.masked_fill_(ignored, 0)
        return grad

    def forward_calls(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> Sequence[Call] | None:
        outer, _, inner = self._shape
        if self._ignore is not None or not 0 < outer * inner <= _FEW or len(top) > 1:
            return None
        kept = KeptLabels(self, bottom, self._shape)
        norm = _normaliser(self._mode, outer, inner, outer * inner)
        counted = _Counted(kept.labels, norm, places=kept.places)
        return [kept.read, *self._few_calls(kept.places, counted, bottom[0], top[0])]

    def _few_calls(self, places: np.ndarray, counted: _Counted, scores: Blob, top: Blob) -> list[Call]:
        """What `forward` does once the labels are read, the scores of which lie at `places`."""
        prob, value = self._prob.value_as(self._shape), top.value_as((1,)).numpy()
        logs, total = torch.zeros(len(places), dtype=prob.dtype), torch.zeros((), dtype=prob.dtype)
        flat, picked, summed = prob.view(-1).numpy(), logs.numpy(), total.numpy()
        lowest, norm = value.dtype.type(FLT_MIN), value.dtype.type(counted.norm)

        def pick() -> None:
            flat.take(places, None, picked, "clip")
            np.maximum(picked, lowest, out=picked)

        def finish() -> None:
            self.saved = counted
            value[0] = abs(summed[()]) / norm

        softmax = partial(torch.softmax, scores.value_as(self._shape), 1, out=prob)
        return [softmax, pick, logs.log_, partial(torch.sum, logs, 0, out=total), finish]

    def backward_calls(
        self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]
    ) -> Sequence[Call] | None:
        outer, _, inner = self._shape
        few = self._ignore is None and 0 < outer * inner <= _FEW
        if not few or list(propagate_down) != [True, False]:
            return None
        weight, prob = top[0].grad_as((1,)).numpy(), self._prob.value_as((self._prob.count,)).numpy()
        grad = bottom[0].grad_as((bottom[0].count,)).numpy()

        def descend() -> None:
            counted = self.recall(_Counted)
            places = counted.places
            if places is None:  # another pass has gone forward
                places = score_places(counted.labels.ids.numpy(), self._shape)
            scale = weight[0] / weight.dtype.type(counted.norm)
            np.multiply(prob, scale, grad)
            grad[places] = grad.take(places) - scale

        return [descend]


@register("InfogainLoss")
class InfogainLoss(_SoftmaxLoss):
    """Caffe's InfogainLoss: softmax loss with a K x K matrix H, which weighs every class for every label.

    L = -sum over items n and classes l of H[label_n, l] * log(max(p[n, l], 1e-20)), normalised. H is
    bottom 2 or the BlobProto in the binary file `infogain_loss_param.source`.

    Raises:
        LayerError: no H, a file that cannot be read, or a size other than K * K; what SoftmaxWithLoss raises.
    """

    reads = ("infogain_loss_param", "loss_param")
    bottoms = Arity(2, 3)

    def setup(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        super().setup(bottom, top)
        self.check(
            not self.layer_param.loss_param.HasField("normalize"),
            'normalize is deprecated. use "normalization": VALID for true, BATCH_SIZE for false',
        )
        if len(bottom) < 3:
            source = self.layer_param.infogain_loss_param.source
            self.check(source, "Infogain matrix source must be specified, or the matrix given as bottom 2")
            self._matrix = torch.from_numpy(proto_array(read_binary(source, BlobProto())))

    def reshape(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        super().reshape(bottom, top)
        self._reshape(bottom, top, self.layer_param.infogain_loss_param.axis)
        classes = self._shape[1]
        found = bottom[2].count if len(bottom) > 2 else self._matrix.numel()
        self.check(
            found == classes**2,
            f"the infogain matrix must be {(classes, classes)} for the classes of {shown(self, bottom, 0)}; "
            f"it has {found} values",
        )

    def _rows(self, bottom: Sequence[Blob], ids: Tensor) -> Tensor:
        """The row of H for every label, (O, K, I)."""
        matrix = bottom[2].value if len(bottom) > 2 else self._matrix.to(device.current(), device.dtype())
        return matrix.reshape(self._shape[1], -1)[ids[:, 0]].movedim(-1, 1)

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        prob, ((ids, ignored, _), norm, *_) = self._predict(bottom)
        gain = (self._rows(bottom, ids) * prob.clamp_min(LOG_THRESHOLD).log_()).sum(1, keepdim=True)
        if ignored is not None:
            gain.masked_fill_(ignored, 0)
        top[0].put((0 - gain.sum()) / norm)

    def gradient(self, bottom: Sequence[Blob], weight: Tensor) -> Tensor:
        prob, ((ids, ignored, _), norm, *_) = self._predicted()
        rows = self._rows(bottom, ids)
        grad = (prob * rows.sum(1, keepdim=True) - rows) * (weight / norm)
        return grad if ignored is None else grad.masked_fill_(ignored, 0)


@register("SigmoidCrossEntropyLoss")
class SigmoidCrossEntropyLoss(_Loss):
    """Caffe's SigmoidCrossEntropyLoss: -(t log s(x) + (1 - t) log(1 - s(x))), summed and normalised.

    Targets t, bottom 1, may be fractions. `loss_param.normalization` is BATCH_SIZE if unset, despite
    the default in the proto. Elements whose target, cut to an integer, is `ignore_label` are skipped.

    Raises:
        LayerError: the counts of the bottoms differ.
    """

    reads = ("loss_param",)
    saves = "the normaliser"

    def reshape(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        super().reshape(bottom, top)
        self.check(
            bottom[0].count == bottom[1].count,
            f"inputs must have the same count: {shown(self, bottom, 0)}, {shown(self, bottom, 1)}",
        )

    def _skipped(self, target: Tensor) -> Tensor | None:
        ignore = _ignored(self.layer_param.loss_param)
        return None if ignore is None else target.trunc() == ignore

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        x, target = bottom[0].value.view(-1), bottom[1].value.view(-1)
        loss = torch.nn.functional.softplus(x.abs().neg_()).add_(x.clamp_min(0)).addcmul_(x, target, value=-1)
        skipped, valid = self._skipped(target), x.numel()
        if skipped is not None:
            loss.masked_fill_(skipped, 0)
            valid -= int(skipped.sum())
        outer = bottom[0].dims[0]
        mode = _normalization(self.layer_param.loss_param, LossParameter.BATCH_SIZE)
        self.saved = _normaliser(mode, outer, x.numel() // max(outer, 1), valid)
        top[0].put(loss.sum() / self.saved)

    def gradient(self, bottom: Sequence[Blob], weight: Tensor) -> Tensor:
        target = bottom[1].value.view(-1)
        grad = torch.sigmoid(bottom[0].value.view(-1)).sub_(target)
        skipped = self._skipped(target)
        if skipped is not None:
            grad.masked_fill_(skipped, 0)
        return grad.mul_(weight / self.recall(int))


@register("MultinomialLogisticLoss")
class MultinomialLogisticLoss(_Loss):
    """Caffe's MultinomialLogisticLoss: -log(max(p[label], 1e-20)) / N for probabilities in bottom 0.

    Raises:
        LayerError: not one label per item, or a label is no class.
    """

    reads = ()
    saves = "the labels"

    def reshape(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        super().reshape(bottom, top)
        check_legacy(self, bottom, 1)
        self._shape = item_labels(self, bottom, "probabilities")

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        check_legacy(self, bottom, 0)
        self.saved = read_labels(self, bottom, self._shape, None).ids
        top[0].put((0 - self._picked(bottom, self.saved).log().sum()) / self._shape[0])

    def _picked(self, bottom: Sequence[Blob], ids: Tensor) -> Tensor:
        return bottom[0].value.view(self._shape).gather(1, ids).clamp_min_(LOG_THRESHOLD)

    def gradient(self, bottom: Sequence[Blob], weight: Tensor) -> Tensor:
        ids = self.recall(Tensor)
        slope = -weight / (self._shape[0] * self._picked(bottom, ids))
        return bottom[0].value.new_zeros(self._shape).scatter_(1, ids, slope)


@register("EuclideanLoss")
class EuclideanLoss(_Loss):
    """Caffe's EuclideanLoss: the sum of (a - b)^2 over 2N; both bottoms get a gradient.

    Raises:
        LayerError: the items of the bottoms differ in size.
    """

    reads = ()
    label_bottoms = ()

    def setup(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        self._difference = make_blob()

    def reshape(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        super().reshape(bottom, top)
        self._flat = (bottom[0].count,)
        self._difference.resize(self._flat)
        self.check(
            bottom[0].count == bottom[1].count,
            f"Inputs must have the same dimension: {shown(self, bottom, 0)}, {shown(self, bottom, 1)}",
        )

    def allow_force_backward(self, index: int) -> bool:
        return True

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        check_legacy(self, bottom, 0)
        a, b = (blob.value_as(self._flat) for blob in bottom)
        difference = torch.sub(a, b, out=self._difference.value)
        self._difference.put(difference)
        squares = torch.dot(difference, difference)
        top[0].put(torch.div(squares, 2 * bottom[0].dims[0], out=top[0].value))

    def gradient(self, bottom: Sequence[Blob], weight: Tensor) -> Tensor:
        return self._difference.value * (weight / bottom[0].dims[0])

    def forward_calls(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> Sequence[Call]:
        a, b = (blob.value_as(self._flat) for blob in bottom)
        difference, value = self._difference.value, top[0].value
        double = scalar(2 * bottom[0].dims[0], value.dtype)
        return [
            partial(torch.sub, a, b, out=difference),
            partial(torch.dot, difference, difference, out=value),
            partial(torch.div, value, double, out=value),
        ]

    def backward_calls(
        self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]
    ) -> Sequence[Call] | None:
        if list(propagate_down) != [True, False] or bottom[0].count > _FEW:
            return None
        weight, grad = top[0].grad_as((1,)).numpy(), bottom[0].grad_as(self._flat).numpy()
        difference, items = self._difference.value.numpy(), weight.dtype.type(bottom[0].dims[0])
        return [lambda: np.multiply(difference, weight[0] / items, grad)]


class _Margins(NamedTuple):
    """What HingeLoss saves: the margins and the labels."""

    margins: Tensor
    ids: Tensor


@register("HingeLoss")
class HingeLoss(_Loss):
    """Caffe's HingeLoss: one against all. Margin max(0, 1 - x) for the label, max(0, 1 + x) for the others.

    The loss is the sum over N of the margins (`norm` L1) or of their squares (L2).

    Raises:
        LayerError: not one label per item, or a label is no class.
    """

    reads = ("hinge_loss_param",)
    saves = "the margins and the labels"

    def reshape(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        super().reshape(bottom, top)
        self._shape = item_labels(self, bottom, "scores")

    @staticmethod
    def _flip(values: Tensor, ids: Tensor) -> Tensor:
        """`values` with the sign of the label's class turned."""
        return values.scatter(1, ids, -values.gather(1, ids))

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        check_legacy(self, bottom, 0)
        ids = read_labels(self, bottom, self._shape, None).ids
        margins = self._flip(bottom[0].value.view(self._shape), ids).add_(1).clamp_min_(0)
        self.saved = _Margins(margins, ids)
        squared = self.layer_param.hinge_loss_param.norm == HingeLossParameter.L2
        top[0].put((margins**2 if squared else margins).sum() / self._shape[0])

    def gradient(self, bottom: Sequence[Blob], weight: Tensor) -> Tensor:
        squared = self.layer_param.hinge_loss_param.norm == HingeLossParameter.L2
        margins, ids = self.recall(_Margins)
        slope = 2 * margins if squared else margins.sign()
        return self._flip(slope, ids) * (weight / self._shape[0])


class _Pairs(NamedTuple):
    """What ContrastiveLoss saves: a - b, and the slope of each pair's loss along it."""

    difference: Tensor
    slope: Tensor


@register("ContrastiveLoss")
class ContrastiveLoss(_Loss):
    """Caffe's ContrastiveLoss over pairs a, b (N, C) with bottom 2 telling which are alike.

    With d the distance of a pair: L = 1/(2N) * sum of d^2 if alike, else max(margin - d, 0)^2, or with
    `legacy_version` max(margin - d^2, 0) (Hadsell et al., CVPR 2006).

    Raises:
        LayerError: a and b differ in size, or bottom 2 has not one value per pair.
    """

    reads = ("contrastive_loss_param",)
    saves = "the differences and the slopes"

    bottoms = Arity(3)
    label_bottoms = (2,)

    def reshape(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        super().reshape(bottom, top)
        check_legacy(self, bottom, 0, 1, 2)
        a, b, alike = bottom
        self.check(
            a.count == b.count and max(a.dims[2:] + b.dims[2:], default=1) == 1,
            "the pairs must be (N, C) or (N, C, 1, 1), both of one size: "
            f"{shown(self, bottom, 0)}, {shown(self, bottom, 1)}",
        )
        self.check(
            alike.dims[:1] == a.dims[:1] and alike.count == a.dims[0],
            f"one value per pair is needed, {a.dims[0]} in all: {shown(self, bottom, 2)}",
        )

    def allow_force_backward(self, index: int) -> bool:
        return index != 2

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        param, pairs = self.layer_param.contrastive_loss_param, bottom[0].dims[0]
        shape = pairs, bottom[0].count // max(pairs, 1)
        difference = bottom[0].value.view(shape) - bottom[1].value.view(shape)
        squared = (difference**2).sum(1)
        alike = bottom[2].value.view(-1).trunc() != 0
        distance = squared.sqrt()
        gap = param.margin - (squared if param.legacy_version else distance)
        apart = gap.clamp_min(0) if param.legacy_version else gap.clamp_min(0) ** 2
        top[0].put(torch.where(alike, squared, apart).sum() / (2 * pairs))
        # Caffe's slope of the gap: d + 1e-4 keeps it finite where a equals b.
        slope = torch.ones_like(gap) if param.legacy_version else gap / (distance + 1e-4)
        self.saved = _Pairs(difference, torch.where(alike, 1, torch.where(gap > 0, -slope, 0)))

    def gradient(self, bottom: Sequence[Blob], weight: Tensor) -> Tensor:
        difference, slope = self.recall(_Pairs)
        return difference * (slope * (weight / bottom[0].dims[0]))[:, None]
