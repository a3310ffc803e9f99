"""Fewer bits in products, where `device.set_precision` asks for that: how numbers are rounded, and by whom.

On a CPU factors and products are rounded and stay float32, so that the results are those of the devices that
multiply bfloat16 and sum up in float32. On a device they are bfloat16, and maps lie channels-last, as its
tensor cores take them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch

from . import device


def rounds() -> bool:
    """Whether factors of products are to be rounded."""
    return device.precision() == "bfloat16"


def rounded(factor: torch.Tensor) -> torch.Tensor:
    """A factor of a product as the device multiplies it."""
    if device.current() is device.HOST:
        return factor.bfloat16().to(factor.dtype)
    layout = torch.channels_last if factor.dim() == 4 else torch.preserve_format
    return factor.to(torch.bfloat16, memory_format=layout)


def widened(product: torch.Tensor) -> torch.Tensor:
    """What was made of rounded factors, as a blob holds it."""
    return product.bfloat16().to(device.dtype(), memory_format=torch.contiguous_format)


def switched() -> AbstractContextManager[None]:
    """Lets CUDA multiply as `device.set_precision` says while a pass runs, and others as before after it."""
    return nullcontext() if device.current() is device.HOST else _switched()


@contextmanager
def _switched() -> Iterator[None]:
    # TF32 is torch's default for convolutions: Caffe's float32 keeps all its bits.
    convolutions, products = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    wanted = device.precision() == "tf32"
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = wanted
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = convolutions, products
