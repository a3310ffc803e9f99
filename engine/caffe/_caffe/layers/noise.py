"""Dropout. Source: Caffe's dropout_layer.cpp."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ...proto import caffe_pb2
from .. import device
from ..blob import Blob
from ..layer import Arity, Layer
from ..registry import register

Blobs = Sequence[Blob]


@register("Dropout")
class Dropout(Layer):
    """TRAIN: y = x m / (1 - p), m a new 0/1 mask every forward, 0 with probability p = `dropout_ratio`.

    TEST: y = x, nothing is scaled (the phase is the layer's own, if it has one). The gradient goes
    through the same mask. In place, TEST costs nothing.
    """

    reads = ("dropout_param",)
    bottoms = Arity(1)
    tops = Arity(1)
    saves = "the mask, in TRAIN"

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        self.ratio = self.layer_param.dropout_param.dropout_ratio
        self.draws_random = self.phase == caffe_pb2.TRAIN
        self.check(
            self.phase != caffe_pb2.TRAIN or 0 <= self.ratio <= 1,
            f"dropout_param.dropout_ratio is a probability, not {self.ratio:g}",
        )

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        top[0].resize(bottom[0].dims)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        x = bottom[0].value
        if self.phase == caffe_pb2.TRAIN:
            self.saved = mask = self._draw(x)
            top[0].put(torch.mul(x, mask, out=top[0].value))
        elif top[0] is not bottom[0]:
            top[0].put(x)

    def _draw(self, x: torch.Tensor) -> torch.Tensor:
        # Uniform numbers and a comparison: several times faster than bernoulli_ on a CPU.
        mask = torch.empty_like(x).uniform_(generator=device.generator()).ge_(self.ratio)
        scale = 1 / (1 - self.ratio) if self.ratio < 1 else float("inf")
        return mask.mul_(scale)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if not propagate_down[0]:
            return
        dy = top[0].grad
        if self.phase == caffe_pb2.TRAIN:
            bottom[0].put_grad(torch.mul(dy, self.recall(torch.Tensor), out=bottom[0].grad))
        elif top[0] is not bottom[0]:
            bottom[0].put_grad(dy)
