"""The float64 run that every contestant is held against."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from .pytorch import sgd
from .twin import Twin


class ConvolutionByTaps(nn.Module):
    """A convolution as one matrix product for each element of its kernel.

    PyTorch unfolds the bottom of a float64 convolution, which takes kernel height x width times its memory.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv = conv

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        conv = self.conv
        (step_y, step_x), (hole_y, hole_x) = conv.stride, conv.dilation
        pad_y, pad_x = (int(pad) for pad in conv.padding)
        x = nn.functional.pad(x, (pad_x, pad_x, pad_y, pad_y))
        outputs, inputs, kernel_h, kernel_w = conv.weight.shape
        height = (x.shape[2] - hole_y * (kernel_h - 1) - 1) // step_y + 1
        width = (x.shape[3] - hole_x * (kernel_w - 1) - 1) // step_x + 1
        weight = conv.weight.view(conv.groups, outputs // conv.groups, inputs, kernel_h, kernel_w)
        total = x.new_zeros(conv.groups, outputs // conv.groups, height * width)
        for i in range(kernel_h):
            for j in range(kernel_w):
                top, left = i * hole_y, j * hole_x
                seen = x[0, :, top : top + (height - 1) * step_y + 1 : step_y]
                seen = seen[:, :, left : left + (width - 1) * step_x + 1 : step_x]
                total.baddbmm_(weight[..., i, j], seen.reshape(conv.groups, inputs, height * width))
        total = total.view(1, outputs, height, width)
        return total if conv.bias is None else total + conv.bias.view(-1, 1, 1)


def _by_taps(module: nn.Module) -> None:
    for name, child in module.named_children():
        if isinstance(child, nn.Conv2d):
            setattr(module, name, ConvolutionByTaps(child))
        else:
            _by_taps(child)


def outputs(twin: Twin, image: np.ndarray) -> np.ndarray:
    """The outputs of the net for an image (1 x 3 x H x W), all in float64; `twin` is used up."""
    _by_taps(twin.double().eval())
    with torch.inference_mode():
        found: np.ndarray = twin(torch.from_numpy(image).double()).numpy()
    return found


def losses(twin: Twin, image: np.ndarray, label: np.ndarray, steps: int) -> np.ndarray:
    """The losses of the first `steps` SGD steps on one image, all in float64; `twin` is used up."""
    step = sgd(twin.double(), twin)
    return np.array([step(image.astype(np.float64), label) for _ in range(steps)])
