"""The VGG trunk: five stages of 3 x 3 convolutions and two wide layers, written once for every net.

Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", config D.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from caffe import NetSpec
from caffe.net_spec import Top

from .blocks import LEARNED, conv_relu, dense_relu, max_pool, record_wide
from .trunk import ALONE, Stream, narrow


@dataclass(frozen=True)
class VGG:
    """Widths of a VGG net: a tuple of convolution widths per stage, then fc6 and fc7.

    `fc_kernel` is the side of fc6 in cells of pool5: 7 for 224 x 224 classifiers; a net for small images
    may take less. `overhang` is by how many pixels the stride-32 score map reaches beyond the image on each
    side, which is FCN-32s's crop offset.

    Raises:
        ValueError: values that some image sizes would not bear.
    """

    stages: tuple[tuple[int, ...], ...] = ((64, 64), (128, 128), (256,) * 3, (512,) * 3, (512,) * 3)
    fc: int = 4096
    fc_kernel: int = 7
    dropout: float = 0.5
    overhang: int = 19

    def __post_init__(self) -> None:
        if len(self.stages) != 5:
            raise ValueError(f"a VGG trunk has 5 stages (strides 2 to 32), got {len(self.stages)}")
        if self.fc_kernel < 4:
            raise ValueError(
                f"fc_kernel is {self.fc_kernel}; below 4 the pool3 skip cannot be cropped for "
                "every image size. Train the classifier on images of 128 x 128 or more"
            )
        if self.overhang < 0:
            raise ValueError(f"overhang is {self.overhang}; the score map has to cover the image (0 or more)")

    #: The classifier's last layer.
    scores: ClassVar[str] = "fc8"

    @property
    def pad(self) -> int:
        """Padding of the first convolution in a fully convolutional net: 100 for VGG16."""
        return 16 * self.fc_kernel - 31 + self.overhang

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the classifier's input: one fc6 position."""
        return 32 * self.fc_kernel, 32 * self.fc_kernel

    def scaled(self, width: float) -> VGG:
        """All widths times `width`, in multiples of 4."""
        if width == 1:
            return self
        stages = tuple(tuple(narrow(w, width) for w in stage) for stage in self.stages)
        return replace(self, stages=stages, fc=narrow(self.fc, width))

    def convolutional(self, n: NetSpec, drop: bool, stream: Stream = ALONE) -> Top:
        """Write conv1_1 ... fc7 into `n` for images of any size; returns the last top (stride 32)."""
        top, ratio = _stages(n, self, self.pad, stream), self.dropout * drop
        top = record_wide(n, 6, conv_relu(top, self.fc, self.fc_kernel, pad=0, param=LEARNED), ratio, stream)
        return record_wide(n, 7, conv_relu(top, self.fc, 1, pad=0, param=LEARNED), ratio, stream)

    def classifier(self, n: NetSpec, drop: bool, fill: dict[str, Any]) -> Top:
        """The same in fc form, for images of `size`; `fill` are the filler options of each layer."""
        top, ratio = _stages(n, self, 1, ALONE, **fill), self.dropout * drop
        top = record_wide(n, 6, dense_relu(top, self.fc, param=LEARNED, **fill), ratio)
        return record_wide(n, 7, dense_relu(top, self.fc, param=LEARNED, **fill), ratio)


VGG16 = VGG()


def _stages(n: NetSpec, arch: VGG, first_pad: int, stream: Stream, **options: Any) -> Top:
    top, pad, name = n[stream.bottom], first_pad, stream.name
    for s, widths in enumerate(arch.stages, start=1):
        for i, width in enumerate(widths, start=1):
            conv, top = conv_relu(top, width, pad=pad, param=LEARNED, **options)
            n[name(f"conv{s}_{i}")], n[name(f"relu{s}_{i}")], pad = conv, top, 1
        top = n[name(f"pool{s}")] = max_pool(top)
    return top
