"""The CaffeNet trunk (AlexNet with pooling before normalisation), written once.

Krizhevsky, Sutskever and Hinton 2012, in the form of Caffe's reference model. Its layers set no learning
rate multipliers: weights and biases learn alike, as in the published FCN-AlexNet.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from caffe import NetSpec
from caffe import layers as L
from caffe.net_spec import Top

from .blocks import conv_relu, dense_relu, max_pool, record_wide
from .trunk import ALONE, Stream, narrow


@dataclass(frozen=True)
class AlexNet:
    """Widths of conv1 ... conv5 and of fc6, fc7."""

    widths: tuple[int, int, int, int, int] = (96, 256, 384, 384, 256)
    fc: int = 4096
    fc_kernel: int = 6
    dropout: float = 0.5
    pad: int = 100
    size: tuple[int, int] = (227, 227)

    @property
    def overhang(self) -> int:
        """FCN-32s's crop offset, where 63 x 63 kernels upsample its scores: 18."""
        return self.pad - 82

    #: The classifier's last layer.
    scores: ClassVar[str] = "fc8"

    def scaled(self, width: float) -> AlexNet:
        """All widths times `width`, in multiples of 4."""
        if width == 1:
            return self
        a, b, c, d, e = (narrow(w, width) for w in self.widths)
        return replace(self, widths=(a, b, c, d, e), fc=narrow(self.fc, width))

    def convolutional(self, n: NetSpec, drop: bool, stream: Stream = ALONE) -> Top:
        """Write conv1 ... fc7 into `n` for images of any size; returns the last top (stride 32)."""
        top, ratio = _convolutions(n, self, self.pad, stream), self.dropout * drop
        top = record_wide(n, 6, conv_relu(top, self.fc, self.fc_kernel, pad=0, group=1), ratio, stream)
        return record_wide(n, 7, conv_relu(top, self.fc, 1, pad=0, group=1), ratio, stream)

    def classifier(self, n: NetSpec, drop: bool, fill: dict[str, Any]) -> Top:
        """The same in fc form, for images of `size`; `fill` are the filler options of each layer."""
        top, ratio = _convolutions(n, self, 0, ALONE, **fill), self.dropout * drop
        top = record_wide(n, 6, dense_relu(top, self.fc, **fill), ratio)
        return record_wide(n, 7, dense_relu(top, self.fc, **fill), ratio)


CAFFENET = AlexNet()


def _convolutions(n: NetSpec, arch: AlexNet, first_pad: int, stream: Stream, **options: Any) -> Top:
    #       kernel, stride, pad, group, then pool, then LRN
    table = (
        (11, 4, first_pad, 1, True, True),
        (5, 1, 2, 2, True, True),
        (3, 1, 1, 1, False, False),
        (3, 1, 1, 2, False, False),
        (3, 1, 1, 2, True, False),
    )
    top, name = n[stream.bottom], stream.name
    for i, (width, (kernel, stride, pad, group, pool, norm)) in enumerate(zip(arch.widths, table), start=1):
        conv, top = conv_relu(top, width, kernel, stride, pad, group=group, **options)
        n[name(f"conv{i}")], n[name(f"relu{i}")] = conv, top
        if pool:
            top = n[name(f"pool{i}")] = max_pool(top, kernel=3)
        if norm:
            top = n[name(f"norm{i}")] = L.LRN(top, local_size=5, alpha=1e-4, beta=0.75)
    return top
