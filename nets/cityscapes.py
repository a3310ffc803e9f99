"""The FCN-8s of Cityscapes by which generated street scenes are scored (Isola et al., CVPR 2017, section 3).

A deploy net alone: its weights are those that the authors of pix2pix published, and nobody trains it here.
"""

from __future__ import annotations

from typing import Any

from .blocks import begin
from .heads import head8
from .trunk import Stream, Trunk
from .vgg import VGG16

#: It has a score for each of the 19 classes, and one that no label has.
SCORES = 20
#: Its wide layers have names of their own.
_STREAM = Stream(renamed={name: f"{name}_cs" for name in ("fc6", "relu6", "fc7", "relu7")})


def cityscapes_fcn8s(arch: Trunk = VGG16, size: tuple[int, int] = (500, 500)) -> Any:
    """The NetParameter. size: (H, W) of the input, which is reshaped to that of each image."""
    n = begin("deploy", None, size)
    head8(n, arch.convolutional(n, drop=False, stream=_STREAM), SCORES)
    return n.to_proto()
