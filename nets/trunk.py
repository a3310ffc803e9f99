"""What every trunk can do: the one thing that models and heads ask of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from caffe import NetSpec
from caffe.net_spec import Top


@dataclass(frozen=True)
class Stream:
    """What a trunk reads, and what its layers are called.

    Attributes:
        bottom: the top that the first convolution reads.
        suffix: of all names, where a net has more than one trunk.
        renamed: names that are not the trunk's own, where weights of its name would not fit.
    """

    bottom: str = "data"
    suffix: str = ""
    renamed: Mapping[str, str] = field(default_factory=dict)

    def name(self, layer: str) -> str:
        """What a layer of the trunk is called in the net."""
        return self.renamed.get(layer, layer) + self.suffix


#: The one trunk of a net, under its own names.
ALONE = Stream()


class Trunk(Protocol):
    """Widths of a classifier that can also be written as a fully convolutional net."""

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the classifier's input."""
        ...

    @property
    def overhang(self) -> int:
        """By how many pixels the upsampled stride-32 scores reach beyond the image: FCN-32s's crop offset."""
        ...

    @property
    def scores(self) -> str:
        """The name of the classifier's last layer in the public caffemodel."""
        ...

    def scaled(self, width: float) -> Trunk:
        """All widths times `width`, in multiples of 4."""
        ...

    def convolutional(self, n: NetSpec, drop: bool, stream: Stream = ALONE) -> Top:
        """Write the layers into `n` for images of any size; returns the last top (stride 32)."""
        ...

    def classifier(self, n: NetSpec, drop: bool, fill: dict[str, Any]) -> Top:
        """The same in fc form, for images of `size`; `fill` are the filler options of each layer."""
        ...


def narrow(channels: int, width: float) -> int:
    """`channels` times `width` in multiples of 4, at least 4 (grouped layers divide it by 2)."""
    return max(4, 4 * round(channels * width / 4))
