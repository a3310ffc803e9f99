"""The GoogLeNet trunk, written once: nine inception modules over three convolutions, 21 layers deep.

Szegedy et al., "Going deeper with convolutions" (CVPR 2015), in the form of BVLC's model, whose layer names
these are. Without the two auxiliary classifiers: they serve training from scratch alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from caffe import NetSpec
from caffe import layers as L
from caffe import params as P
from caffe.net_spec import Top

from .blocks import LEARNED, conv_relu, dropout, max_pool
from .trunk import ALONE, Stream, narrow

#: Of a module: 1x1, 3x3_reduce, 3x3, 5x5_reduce, 5x5, pool_proj.
Widths = tuple[int, int, int, int, int, int]


@dataclass(frozen=True)
class GoogLeNet:
    """Widths of the three convolutions and of the inception modules 3a ... 5b.

    `pad` is that of the first convolution in a fully convolutional net, 100 as in the nets of the release.
    """

    widths: tuple[int, int, int] = (64, 64, 192)
    modules: tuple[tuple[Widths, ...], ...] = (
        ((64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64)),
        (
            (192, 96, 208, 16, 48, 64),
            (160, 112, 224, 24, 64, 64),
            (128, 128, 256, 24, 64, 64),
            (112, 144, 288, 32, 64, 64),
            (256, 160, 320, 32, 128, 128),
        ),
        ((256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128)),
    )
    dropout: float = 0.4
    pad: int = 100
    size: tuple[int, int] = (224, 224)

    @property
    def overhang(self) -> int:
        """FCN-32s's crop offset, where 63 x 63 kernels upsample its scores.

        Cell i of the last map lies about pixel 32 i + 3 - pad + 2 + 4 + 8 + 16 of the image (the first
        convolution, then four poolings), and about pixel 32 i + 31 of what is upsampled.
        """
        return self.pad - 2

    #: The classifier's last layer.
    scores: ClassVar[str] = "loss3/classifier"

    def scaled(self, width: float) -> GoogLeNet:
        """All widths times `width`, in multiples of 4."""
        if width == 1:
            return self
        a, b, c = (narrow(w, width) for w in self.widths)
        modules: Any = tuple(
            tuple(tuple(narrow(w, width) for w in module) for module in stage) for stage in self.modules
        )
        return replace(self, widths=(a, b, c), modules=modules)

    def convolutional(self, n: NetSpec, drop: bool, stream: Stream = ALONE) -> Top:
        """Write conv1 ... inception_5b into `n` for images of any size; returns the last top (stride 32).

        The final average pooling is left out, as the paper says (section 4.1).
        """
        return _dropped(n, _modules(n, self, self.pad, stream), self.dropout * drop, stream)

    def classifier(self, n: NetSpec, drop: bool, fill: dict[str, Any]) -> Top:
        """The same for images of `size`, pooled to one cell; `fill` are the filler options of each layer."""
        top = _modules(n, self, 3, ALONE, **fill)
        top = n["pool5/7x7_s1"] = L.Pooling(top, pool=P.Pooling.AVE, kernel_size=7, stride=1)
        return _dropped(n, top, self.dropout * drop, ALONE)


GOOGLENET = GoogLeNet()


def _dropped(n: NetSpec, top: Top, ratio: float, stream: Stream) -> Top:
    if not ratio:
        return top
    drop = n[stream.name("pool5/drop_7x7_s1")] = dropout(top, ratio)
    return drop


def _modules(n: NetSpec, arch: GoogLeNet, first_pad: int, stream: Stream, **fill: Any) -> Top:
    name, convolve = stream.name, _Convolve(n, stream, {"param": LEARNED, **fill})
    first, reduce, second = arch.widths
    top = convolve(n[stream.bottom], "conv1/7x7_s2", first, 7, stride=2, pad=first_pad)
    top = n[name("pool1/3x3_s2")] = max_pool(top, kernel=3)
    top = n[name("pool1/norm1")] = _normalised(top)
    top = convolve(top, "conv2/3x3_reduce", reduce, 1)
    top = convolve(top, "conv2/3x3", second, 3)
    top = n[name("conv2/norm2")] = _normalised(top)
    top = n[name("pool2/3x3_s2")] = max_pool(top, kernel=3)
    for stage, modules in enumerate(arch.modules, start=3):
        for letter, widths in zip("abcde", modules):
            top = _inception(top, f"inception_{stage}{letter}", widths, convolve)
        if stage < 5:
            top = n[name(f"pool{stage}/3x3_s2")] = max_pool(top, kernel=3)
    return top


def _inception(top: Top, module: str, widths: Widths, convolve: _Convolve) -> Top:
    """Convolutions of three sizes and a pooling of the same map, side by side."""
    one, reduce3, three, reduce5, five, projected = widths
    n, name = convolve.n, convolve.stream.name
    first = convolve(top, f"{module}/1x1", one, 1)
    second = convolve(convolve(top, f"{module}/3x3_reduce", reduce3, 1), f"{module}/3x3", three, 3)
    third = convolve(convolve(top, f"{module}/5x5_reduce", reduce5, 1), f"{module}/5x5", five, 5)
    pool = n[name(f"{module}/pool")] = L.Pooling(top, pool=P.Pooling.MAX, kernel_size=3, stride=1, pad=1)
    fourth = convolve(pool, f"{module}/pool_proj", projected, 1)
    output = n[name(f"{module}/output")] = L.Concat(first, second, third, fourth)
    return output


@dataclass(frozen=True)
class _Convolve:
    """Writes a convolution that keeps the map's size, and its ReLU, under their names."""

    n: NetSpec
    stream: Stream
    options: dict[str, Any]

    def __call__(
        self, bottom: Top, layer: str, width: int, kernel: int, stride: int = 1, pad: int | None = None
    ) -> Top:
        conv, relu = conv_relu(
            bottom, width, kernel, stride, kernel // 2 if pad is None else pad, **self.options
        )
        folder, last = layer.split("/")
        (
            self.n[self.stream.name(layer)],
            self.n[self.stream.name(f"{folder}/relu_{last.removesuffix('_s2')}")],
        ) = conv, relu
        return relu


def _normalised(top: Top) -> Top:
    return L.LRN(top, local_size=5, alpha=1e-4, beta=0.75)
