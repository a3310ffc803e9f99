"""What blobs are made of when somebody reads them, after the pass."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Protocol

import torch

from ..blob import Blob
from ..errors import CaffeError
from .operation import Recipe
from .parameters import contents


class Origin(Protocol):
    """Something that knows the values that a blob had in the pass."""

    def values(self) -> torch.Tensor:
        """They, in the blob's shape."""


class Copy:
    """Values that were put aside."""

    def __init__(self, values: torch.Tensor) -> None:
        self._values = values

    def values(self) -> torch.Tensor:
        return self._values


class Root:
    """A blob that holds what it held in the pass: that of a layer which ran by itself.

    Args:
        name: of the blob, for messages.
    """

    def __init__(self, blob: Blob, name: str) -> None:
        self._blob, self._name = blob, name
        self._before = self._state()

    def _state(self) -> Hashable:
        return self._blob.dims, self._blob.data_memory.state(contents)

    def values(self) -> torch.Tensor:
        if self._state() != self._before:
            raise _changed(f"blob '{self._name}'")
        return self._blob.value


class Remade:
    """A blob that no plane holds: made again by its layers, from the values that their bottoms had.

    It knows no blob of the net but roots, so that a promise in a blob does not keep the net alive.

    Args:
        number: of the blob, among those that `recipe` makes.
        name: of the blob, for messages.
        origins: of the bottoms.
    """

    def __init__(self, recipe: Recipe, number: int, name: str, origins: Sequence[Origin]) -> None:
        self._recipe, self._number, self._name, self._origins = recipe, number, name, tuple(origins)
        self._before = recipe.parameters()

    def values(self) -> torch.Tensor:
        if self._recipe.parameters() != self._before:
            raise _changed(f"the parameters of the layers that make '{self._name}'")
        return self._recipe.values(self._number, [origin.values() for origin in self._origins])


Promise = Callable[[], torch.Tensor]


def promise(blob: Blob, origin: Origin) -> None:
    """Let a blob's contents be what `origin` gives when they are read.

    Raises:
        CaffeError: when the blob is read, if what it is made of was changed since the pass.
    """
    blob.data_memory.promise(promised(origin), blob.count)


def promised(origin: Origin) -> Promise:
    """What makes a blob's contents of `origin`, for `Memory.promise`."""
    return lambda: origin.values().view(-1)


def _changed(what: str) -> CaffeError:
    return CaffeError(
        f"this blob is made when it is read, and {what} changed since the forward pass: run forward again, "
        "read the blob before the change, or set CAFFE_ALGORITHMS=reference"
    )
