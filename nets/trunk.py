"""What every trunk can do: the one thing that models and heads ask of it."""

from __future__ import annotations

from typing import Any, Protocol

from caffe import NetSpec
from caffe.net_spec import Top


class Trunk(Protocol):
    """Widths of a classifier that can also be written as a fully convolutional net."""

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the classifier's input."""
        ...

    def scaled(self, width: float) -> Trunk:
        """All widths times `width`, in multiples of 4."""
        ...

    def convolutional(self, n: NetSpec, drop: bool) -> Top:
        """Write the layers into `n` for images of any size; returns the last top (stride 32)."""
        ...

    def classifier(self, n: NetSpec, drop: bool, fill: dict[str, Any]) -> Top:
        """The same in fc form, for images of `size`; `fill` are the filler options of each layer."""
        ...


def narrow(channels: int, width: float) -> int:
    """`channels` times `width` in multiples of 4, at least 4 (grouped layers divide it by 2)."""
    return max(4, 4 * round(channels * width / 4))
