"""The pieces every net is made of: small functions from `caffe` tops to `caffe` tops.

Shapes are N x C x H x W; `classes` is the number of score channels K.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from caffe import NetSpec
from caffe import layers as L
from caffe import params as P
from caffe.coord_map import crop
from caffe.net_spec import Top
from voc_layers.facts import VOID
from voc_layers.folder import Folder

from .trunk import ALONE, Stream, Trunk

# Weights learn at the solver's rate; biases at twice that, without decay (the paper's section 4.3).
LEARNED = [{"lr_mult": 1, "decay_mult": 1}, {"lr_mult": 2, "decay_mult": 0}]
FROZEN = [{"lr_mult": 0}]


@dataclass(frozen=True)
class PythonData:
    """A Python data layer: its class, its `param_str` as a dict, and the module that defines it.

    Its tops are the inputs of the net that reads it (1 x C x H x W, mean subtracted), then the label maps.
    """

    layer: str
    params: Mapping[str, Any] = field(default_factory=dict)
    module: str = "voc_layers"

    @classmethod
    def reading(cls, folder: Folder, split: str, seed: int | None) -> PythonData:
        """The layer that reads a split of a folder of images and label maps."""
        return cls(folder.layer, folder.params(split, seed), folder.module)

    def tops(self, count: int = 2) -> tuple[Top, ...]:
        settings = str(dict(self.params))
        return L.Python(module=self.module, layer=self.layer, ntop=count, param_str=settings)


@dataclass(frozen=True)
class Labeling:
    """One thing that a net says of each pixel, as the names of its blobs.

    Attributes:
        name: what the labels are called where a net has more than one kind.
        loss: the blob with their loss.
        classes: how many, where that is not the number that the net is made for.
        title: their name for people, where `name` is short for it.
    """

    name: str = ""
    loss: str = "loss"
    classes: int | None = None
    title: str = ""

    @property
    def suffix(self) -> str:
        """What the names of its layers end in."""
        return f"_{self.name}" if self.name else ""

    @property
    def score(self) -> str:
        """The blob with its scores, 1 x K x H x W."""
        return f"score{self.suffix}"

    @property
    def label(self) -> str:
        """The blob with its label map, 1 x 1 x H x W."""
        return self.name or "label"


@dataclass(frozen=True)
class Task:
    """What a net reads and what it says: the data set, and the names of the blobs.

    Attributes:
        dataset: the key of the data set, which its models' names start with.
        layers: the data layers of the published nets, by form; takes the folders and a seed.
        folders: the arguments of `layers` that name folders.
        inputs: blob -> channels.
        views: what of a sample the inputs are, where a data set has more than colour.
        labelings: what is said of each pixel.
        size: (H, W) of the deploy input.
    """

    dataset: str
    layers: Callable[..., Mapping[str, PythonData]]
    folders: tuple[str, ...]
    inputs: Mapping[str, int] = field(default_factory=lambda: {"data": 3})
    views: tuple[str, ...] = ("color",)
    labelings: tuple[Labeling, ...] = (Labeling(),)
    size: tuple[int, int] = (500, 500)


@dataclass(frozen=True)
class Options:
    """What a net is made for.

    Attributes:
        classes: score channels.
        arch: the trunk, with its widths.
        data: form -> data layer; None: those of the published nets, see `pascal`.
        size: (H, W) of the deploy input; the model's own by default.
        normalize: the loss is a mean over valid pixels instead of a sum; the model's own kind by default.
        double_bias: biases learn twice as fast as weights, without decay, in models that do not say so too.
    """

    classes: int
    arch: Trunk
    data: Mapping[str, PythonData] | None = None
    size: tuple[int, int] | None = None
    normalize: bool | None = None
    double_bias: bool = False


def begin(
    form: str,
    data: Mapping[str, PythonData] | None,
    size: tuple[int, int],
    inputs: Mapping[str, int] | None = None,
    labels: tuple[str, ...] = ("label",),
) -> NetSpec:
    """A net with its inputs (and, unless `form` is 'deploy', its labels) in place.

    A deploy net takes 1 x C x `size` (H, W) for each of `inputs`, blob -> channels; by default `data` of 3.

    Raises:
        ValueError: `data` has no layer for `form`.
    """
    n, data, inputs = NetSpec(), data or {}, inputs or {"data": 3}
    if form == "deploy":
        for blob, channels in inputs.items():
            named = {"name": "input"} if blob == "data" else {}
            n[blob] = L.Input(shape={"dim": [1, channels, *size]}, **named)
    elif form in data:
        names = (*inputs, *labels)
        for blob, top in zip(names, data[form].tops(len(names)), strict=True):
            n[blob] = top
    else:
        raise ValueError(
            f"no data layer for the form '{form}': give data={{'{form}': PythonData(...)}} "
            f"or build one of {sorted({*data, 'deploy'})}"
        )
    return n


def conv_relu(
    bottom: Top, width: int, kernel: int = 3, stride: int = 1, pad: int = 1, **options: Any
) -> tuple[Top, Top]:
    """Convolution and its in-place ReLU; `options` (`param`, `group`, fillers) are the former's."""
    conv = L.Convolution(bottom, num_output=width, kernel_size=kernel, stride=stride, pad=pad, **options)
    return conv, L.ReLU(conv, in_place=True)


def dense_relu(bottom: Top, width: int, **options: Any) -> tuple[Top, Top]:
    """InnerProduct and its in-place ReLU."""
    dense = L.InnerProduct(bottom, num_output=width, **options)
    return dense, L.ReLU(dense, in_place=True)


def max_pool(bottom: Top, kernel: int = 2, stride: int = 2) -> Top:
    return L.Pooling(bottom, pool=P.Pooling.MAX, kernel_size=kernel, stride=stride)


def dropout(bottom: Top, ratio: float) -> Top:
    return L.Dropout(bottom, dropout_ratio=ratio, in_place=True)


def score(bottom: Top, classes: int) -> Top:
    """1 x 1 convolution to class scores. It has no filler: scores start at zero, as in the paper."""
    return L.Convolution(bottom, num_output=classes, kernel_size=1, pad=0, param=LEARNED)


def upsample(bottom: Top, classes: int, stride: int, kernel: int | None = None) -> Top:
    """Frozen Deconvolution by `stride`, kernel 2 x stride by default; `surgery.interp` fills it."""
    settings = {
        "num_output": classes,
        "kernel_size": kernel or 2 * stride,
        "stride": stride,
        "bias_term": False,
    }
    return L.Deconvolution(bottom, convolution_param=settings, param=FROZEN)


def fixed_scale(bottom: Top, value: float) -> Top:
    """Multiply by a constant that never learns."""
    return L.Scale(bottom, filler={"type": "constant", "value": value}, param=FROZEN)


def fuse(coarse: Top, cropped: Top) -> Top:
    return L.Eltwise(coarse, cropped, operation=P.Eltwise.SUM)


def record_wide(n: NetSpec, number: int, tops: tuple[Top, Top], ratio: float, stream: Stream = ALONE) -> Top:
    """Name `tops` fc<number> and relu<number>, add drop<number> unless `ratio` is 0; returns the last."""
    n[stream.name(f"fc{number}")], n[stream.name(f"relu{number}")] = tops
    if not ratio:
        return tops[1]
    drop = n[stream.name(f"drop{number}")] = dropout(tops[1], ratio)
    return drop


def softmax_loss(scores: Top, label: Top, normalize: bool) -> Top:
    """Per-pixel softmax loss without the void pixels: a sum per image, or a mean when `normalize`."""
    settings = {"normalize": normalize, "ignore_label": VOID}
    return L.SoftmaxWithLoss(scores, label, loss_param=settings)


__all__ = [
    "FROZEN",
    "LEARNED",
    "Labeling",
    "Options",
    "PythonData",
    "Task",
    "begin",
    "conv_relu",
    "crop",
    "dense_relu",
    "dropout",
    "fixed_scale",
    "fuse",
    "max_pool",
    "record_wide",
    "score",
    "softmax_loss",
    "upsample",
]
