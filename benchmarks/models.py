"""The nets that are timed: FCN-8s of the toolkit, and five classifiers that Caffe's users know.

Each is the published deploy net, batch of one, in NetSpec; layer names follow the published ones. `MODELS` is
the one table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import nets
from caffe import NetSpec
from caffe import layers as L
from caffe import params as P
from caffe.net_spec import Top
from nets.blocks import conv_relu, dense_relu, max_pool

Size = tuple[int, int]


@dataclass(frozen=True)
class Model:
    """A net to time: its name for people, (H, W) -> NetParameter, its own sizes (H, W), what else it takes.

    Attributes:
        any_size: whether it takes images of any size.
        train: NetParameter of the training form, whose first layer brings data; None: it is not trained here.
    """

    label: str
    deploy: Callable[[Size], Any]
    sizes: tuple[Size, ...]
    any_size: bool = False
    train: Callable[[], Any] | None = None


def alexnet(size: Size) -> Any:
    """AlexNet (Krizhevsky et al. 2012), Caffe's bvlc_alexnet: normalised, then pooled."""
    n = _begin(size)
    #       width, kernel, stride, pad, group, then LRN, then pool
    table = (
        (96, 11, 4, 0, 1, True, True),
        (256, 5, 1, 2, 2, True, True),
        (384, 3, 1, 1, 1, False, False),
        (384, 3, 1, 1, 2, False, False),
        (256, 3, 1, 1, 2, False, True),
    )
    top = n.data
    for i, (width, kernel, stride, pad, group, norm, pool) in enumerate(table, 1):
        n[f"conv{i}"], n[f"relu{i}"] = conv_relu(top, width, kernel, stride, pad, group=group)
        top = n[f"relu{i}"]
        if norm:
            top = n[f"norm{i}"] = _lrn(top)
        if pool:
            top = n[f"pool{i}"] = max_pool(top, kernel=3)
    for i in (6, 7):
        n[f"fc{i}"], n[f"relu{i}"] = dense_relu(top, 4096)
        top = n[f"relu{i}"]
    return _scores(n, L.InnerProduct(top, num_output=1000), "fc8")


def googlenet(size: Size) -> Any:
    """GoogLeNet (Szegedy et al. 2014), Caffe's bvlc_googlenet without the auxiliary classifiers."""
    n = _begin(size)
    top = _conv(n, "conv1/7x7_s2", n.data, 64, 7, 2)
    top = n["pool1/norm1"] = _lrn(_keep(n, "pool1/3x3_s2", max_pool(top, kernel=3)))
    top = _conv(n, "conv2/3x3_reduce", top, 64, 1)
    top = n["conv2/norm2"] = _lrn(_conv(n, "conv2/3x3", top, 192, 3))
    #        1x1, 3x3 reduced, 3x3, 5x5 reduced, 5x5, behind the pool
    table = {
        "3a": (64, 96, 128, 16, 32, 32),
        "3b": (128, 128, 192, 32, 96, 64),
        "4a": (192, 96, 208, 16, 48, 64),
        "4b": (160, 112, 224, 24, 64, 64),
        "4c": (128, 128, 256, 24, 64, 64),
        "4d": (112, 144, 288, 32, 64, 64),
        "4e": (256, 160, 320, 32, 128, 128),
        "5a": (256, 160, 320, 32, 128, 128),
        "5b": (384, 192, 384, 48, 128, 128),
    }
    for name, widths in table.items():
        if name in ("3a", "4a", "5a"):
            top = n[f"pool_{name}"] = max_pool(top, kernel=3)
        top = _inception(n, f"inception_{name}", top, widths)
    top = n["pool5/7x7_s1"] = L.Pooling(top, pool=P.Pooling.AVE, kernel_size=7, stride=1)
    return _scores(n, L.InnerProduct(top, num_output=1000), "loss3/classifier")


def resnet50(size: Size) -> Any:
    """ResNet-50 (He et al. 2015) as released: the stride is in the first convolution of a block."""
    n = _begin(size)
    top = _conv_bn(n, "conv1", n.data, (64, 7, 2, 3))
    top = n.pool1 = max_pool(top, kernel=3)
    for stage, blocks in ((2, 3), (3, 4), (4, 6), (5, 3)):
        width = 32 * 2 ** (stage - 1)
        for index in range(blocks):
            name, stride = f"res{stage}{'abcdef'[index]}", 2 if index == 0 and stage > 2 else 1
            side = top
            if index == 0:
                side = _conv_bn(n, f"{name}_branch1", top, (4 * width, 1, stride, 0), relu=False)
            top = _conv_bn(n, f"{name}_branch2a", top, (width, 1, stride, 0))
            top = _conv_bn(n, f"{name}_branch2b", top, (width, 3, 1, 1))
            top = _conv_bn(n, f"{name}_branch2c", top, (4 * width, 1, 1, 0), relu=False)
            n[name] = L.Eltwise(side, top, operation=P.Eltwise.SUM)
            top = n[f"{name}/relu"] = L.ReLU(n[name], in_place=True)
    top = n.pool5 = L.Pooling(top, pool=P.Pooling.AVE, kernel_size=7, stride=1)
    return _scores(n, L.InnerProduct(top, num_output=1000), "fc1000")


def squeezenet(size: Size) -> Any:
    """SqueezeNet v1.1 (Iandola et al. 2016)."""
    n = _begin(size)
    n.conv1, n.relu_conv1 = conv_relu(n.data, 64, 3, stride=2, pad=0)
    top = n.pool1 = max_pool(n.relu_conv1, kernel=3)
    for number, (squeeze, expand) in enumerate(
        ((16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256)), 2
    ):
        if number in (4, 6):
            top = n[f"pool{number - 1}"] = max_pool(top, kernel=3)
        name = f"fire{number}"
        top = _conv(n, f"{name}/squeeze1x1", top, squeeze, 1)
        sides = [
            _conv(n, f"{name}/expand{k}x{k}", top, expand, k) for k in (1, 3)
        ]  # fmt: skip
        top = n[f"{name}/concat"] = L.Concat(*sides)
    top = _conv(n, "conv10", top, 1000, 1)
    return _scores(n, L.Pooling(top, pool=P.Pooling.AVE, global_pooling=True), "pool10")


def mobilenet(size: Size) -> Any:
    """MobileNet v1 (Howard et al. 2017): depthwise and pointwise convolutions in turn."""
    n = _begin(size)
    top = _conv_bn(n, "conv1", n.data, (32, 3, 2, 1))
    width = 32
    # width of the pointwise convolution, stride of the depthwise one before it
    table = (
        (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2),
        (512, 1), (512, 1), (512, 1), (512, 1), (512, 1), (1024, 2), (1024, 1),
    )  # fmt: skip
    for index, (wider, stride) in enumerate(table, 2):
        top = _conv_bn(n, f"conv{index}/dw", top, (width, 3, stride, 1), group=width)
        top = _conv_bn(n, f"conv{index}/sep", top, (wider, 1, 1, 0))
        width = wider
    top = n.pool6 = L.Pooling(top, pool=P.Pooling.AVE, global_pooling=True)
    return _scores(n, L.InnerProduct(top, num_output=1000), "fc7")


def fcn8s(size: Size) -> Any:
    """FCN-8s over VGG16 (Long et al. 2015) for PASCAL VOC: scores of 21 classes."""
    return nets.build("voc-fcn8s", "deploy", size=size)


def fcn8s_training() -> Any:
    """The same in training, on the mean loss; without dropout, whose noise would hide a wrong loss."""
    arch = replace(nets.VGG16, dropout=0.0)
    return nets.build("voc-fcn8s", "train", arch=arch, normalize=True)


MODELS: dict[str, Model] = {
    "fcn8s": Model(
        "FCN-8s", fcn8s, ((334, 500), (224, 224), (1000, 1000)), any_size=True, train=fcn8s_training
    ),
    "alexnet": Model("AlexNet", alexnet, ((227, 227),)),
    "googlenet": Model("GoogLeNet", googlenet, ((224, 224),)),
    "resnet50": Model("ResNet-50", resnet50, ((224, 224),)),
    "squeezenet": Model("SqueezeNet v1.1", squeezenet, ((227, 227),), any_size=True),
    "mobilenet": Model("MobileNet v1", mobilenet, ((224, 224),), any_size=True),
}

# -- pieces -------------------------------------------------------------------------------------------


def _begin(size: Size) -> NetSpec:
    n = NetSpec()
    n.data = L.Input(name="input", shape={"dim": [1, 3, *size]})
    return n


def _keep(n: NetSpec, name: str, top: Top) -> Top:
    n[name] = top
    return top


def _conv(n: NetSpec, name: str, bottom: Top, width: int, kernel: int, stride: int = 1) -> Top:
    """Convolution that keeps the size (but for its stride) and in-place ReLU, named `name`."""
    n[name], relu = conv_relu(bottom, width, kernel, stride, kernel // 2)
    return _keep(n, f"{name}_relu", relu)


def _conv_bn(
    n: NetSpec, name: str, bottom: Top, shape: tuple[int, int, int, int], relu: bool = True, group: int = 1
) -> Top:
    """Convolution (width, kernel, stride, pad) without bias, then in place: normalisation, scale, ReLU."""
    width, kernel, stride, pad = shape
    conv = L.Convolution(
        bottom, num_output=width, kernel_size=kernel, stride=stride, pad=pad, group=group, bias_term=False
    )
    normed = _keep(n, f"{name}/bn", L.BatchNorm(_keep(n, name, conv), in_place=True))
    top = _keep(n, f"{name}/scale", L.Scale(normed, bias_term=True, in_place=True))
    return _keep(n, f"{name}/relu", L.ReLU(top, in_place=True)) if relu else top


def _lrn(bottom: Top) -> Top:
    return L.LRN(bottom, local_size=5, alpha=1e-4, beta=0.75)


def _inception(n: NetSpec, name: str, bottom: Top, widths: tuple[int, ...]) -> Top:
    one, three_reduced, three, five_reduced, five, behind_pool = widths
    sides = [_conv(n, f"{name}/1x1", bottom, one, 1)]
    for kernel, reduced, width in ((3, three_reduced, three), (5, five_reduced, five)):
        top = _conv(n, f"{name}/{kernel}x{kernel}_reduce", bottom, reduced, 1)
        sides.append(_conv(n, f"{name}/{kernel}x{kernel}", top, width, kernel))
    pooled = L.Pooling(bottom, pool=P.Pooling.MAX, kernel_size=3, stride=1, pad=1)
    n[f"{name}/pool"] = pooled
    sides.append(_conv(n, f"{name}/pool_proj", pooled, behind_pool, 1))
    return _keep(n, f"{name}/output", L.Concat(*sides))


def _scores(n: NetSpec, scores: Top, name: str) -> Any:
    """The scores, named `name`, and their softmax: the finished net."""
    n[name] = scores
    n.prob = L.Softmax(scores)
    return n.to_proto()
