"""What surgery asks of a net: parameters by layer name. A `caffe.Net` has them, and so may anything else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np


class BlobLike(Protocol):
    """An array, shared with whoever computes with it."""

    @property
    def data(self) -> np.ndarray: ...


class ParamsLike(Protocol):
    """Anything with `params`."""

    @property
    def params(self) -> Mapping[str, Sequence[BlobLike]]: ...
