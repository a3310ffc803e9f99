"""What the toolkit asks of pycaffe's nets and solvers, as types: nothing beyond this is used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from surgery import BlobLike, ParamsLike


class InputBlob(BlobLike, Protocol):
    """A blob of activations, whose shape may be changed."""

    def reshape(self, *shape: int) -> None: ...


class ParamBlob(BlobLike, Protocol):
    """A parameter, with its gradient; after a step of a solver, with what the step subtracted."""

    @property
    def diff(self) -> np.ndarray: ...


class LayerLike(Protocol):
    """A layer of a net: its Caffe type."""

    @property
    def type(self) -> str: ...


class NetLike(ParamsLike, Protocol):
    """A `caffe.Net`: blobs and layers by name; `inputs` are the blobs that no layer fills."""

    @property
    def params(self) -> Mapping[str, Sequence[ParamBlob]]: ...

    @property
    def blobs(self) -> Mapping[str, InputBlob]: ...

    @property
    def layer_dict(self) -> Mapping[str, LayerLike]: ...

    @property
    def inputs(self) -> Sequence[str]: ...

    def forward(self) -> Any: ...

    def backward(self) -> Any: ...

    def share_with(self, other: Any, /) -> None: ...

    def copy_from(self, path: str, /) -> None: ...

    def save(self, path: str, /) -> None: ...

    def save_hdf5(self, path: str, /) -> None: ...


class SolverLike(Protocol):
    """A `caffe.Solver`: the net in training, and the nets that share its weights to be scored."""

    @property
    def net(self) -> NetLike: ...

    @property
    def test_nets(self) -> Sequence[NetLike]: ...

    @property
    def iter(self) -> int: ...

    def step(self, count: int, /) -> None: ...

    def snapshot(self) -> None: ...

    def restore(self, path: str, /) -> None: ...


class LabelMaps(Protocol):
    """True label maps by name: what a score is counted against."""

    @property
    def classes(self) -> tuple[str, ...]: ...

    def label(self, name: str) -> np.ndarray: ...

    def label_path(self, name: str) -> Path: ...
