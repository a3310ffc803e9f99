"""The pycaffe half of Net, and the solver classes: dictionaries by name, NumPy in and out."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from functools import cached_property
from itertools import zip_longest
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from . import _caffe
from ._caffe import NCCL, Blob, BlobVec, Layer, NetVec, Timer
from .proto.caffe_pb2 import SolverParameter

__all__ = [
    "NCCL",
    "AdaDeltaSolver",
    "AdaGradSolver",
    "AdamSolver",
    "Net",
    "NesterovSolver",
    "RMSPropSolver",
    "SGDSolver",
    "Timer",
    "get_solver",
]

Arrays = dict[str, np.ndarray]


Value = TypeVar("Value")


class _read_only(cached_property[Value]):
    """Found at its first use and kept; cannot be assigned."""

    def __set__(self, net: object, value: object) -> None:
        raise AttributeError(f"'{self.attrname}' of a {type(net).__name__} cannot be assigned")

    def __delete__(self, net: object) -> None:
        raise AttributeError(f"'{self.attrname}' of a {type(net).__name__} cannot be deleted")


class Net(_caffe.Net):
    """``Net(network_file, phase, level=0, stages=None, weights=None)``: a network over named blobs.

    See `_caffe.Net` for the arguments and what is raised.
    """

    @_read_only
    def blobs(self) -> OrderedDict[str, Blob]:
        """Blobs by name in creation order, automatic splits included."""
        return OrderedDict(zip(self._blob_names, self._blobs))

    @_read_only
    def blob_loss_weights(self) -> OrderedDict[str, float]:
        """Loss weights by blob name, 0 where there is none."""
        return OrderedDict(zip(self._blob_names, self._blob_loss_weights))

    @_read_only
    def layer_dict(self) -> OrderedDict[str, Layer]:
        """Layers by name; of equal names the last."""
        return OrderedDict(zip(self._layer_names, self.layers))

    @_read_only
    def params(self) -> OrderedDict[str, BlobVec]:
        """The parameters of the layers that have any, by layer name."""
        return OrderedDict(
            (name, layer.blobs) for name, layer in zip(self._layer_names, self.layers) if len(layer.blobs)
        )

    @_read_only
    def inputs(self) -> list[str]:
        """The names of the net's inputs: the tops of its Input layers."""
        names = self._blob_names
        return [names[i] for i in self._inputs]

    @_read_only
    def outputs(self) -> list[str]:
        """The names of the blobs nobody reads, in byte order."""
        names = self._blob_names
        return [names[i] for i in self._outputs]

    @_read_only
    def top_names(self) -> OrderedDict[str, list[str]]:
        """The names of each layer's tops, by layer name."""
        return self._names_of(self._top_ids)

    @_read_only
    def bottom_names(self) -> OrderedDict[str, list[str]]:
        """The names of each layer's bottoms, by layer name."""
        return self._names_of(self._bottom_ids)

    def _names_of(self, ids: Callable[[int], Sequence[int]]) -> OrderedDict[str, list[str]]:
        names = list(self._blob_names)
        return OrderedDict(
            (layer, [names[i] for i in ids(number)]) for number, layer in enumerate(self._layer_names)
        )

    def forward(
        self,
        blobs: list[str] | None = None,
        start: str | None = None,
        end: str | None = None,
        **kwargs: np.ndarray,
    ) -> Arrays:
        """Run the layers from `start` to `end` (names, both included; default all).

        Args:
            blobs: names of further blobs to return.
            kwargs: values of all inputs, by name, or none to use what the blobs hold.

        Returns:
            The data of the net's outputs (or the tops of `end`) and of `blobs`: views, not copies.

        Raises:
            Exception: `kwargs` are not exactly the inputs, or have another batch size than the blobs.
            ValueError: no such layer, or values that do not fit. KeyError: no such blob.
        """
        first = self._layer_index(start, 0)
        last = self._layer_index(end, len(self.plan.layers) - 1)
        wanted = {*(self.outputs if end is None else self.top_names[end]), *((blobs or []) + [])}
        self._feed(kwargs, self.inputs, "data", "Input blob arguments do not match net inputs.", "Input")
        self._forward(first, last)
        return {name: self.blobs[name].data for name in wanted}

    def backward(
        self,
        diffs: list[str] | None = None,
        start: str | None = None,
        end: str | None = None,
        **kwargs: np.ndarray,
    ) -> Arrays:
        """Run the layers backward from `start` (default the last) down to `end` (default the first).

        Args:
            diffs: names of further blobs whose diff to return.
            kwargs: the diffs of all outputs, by name, or none to use what the blobs hold.

        Returns:
            The diffs of the net's inputs (or the bottoms of `end`) and of `diffs`: views, not copies.

        Raises:
            Exception: `kwargs` are not exactly the outputs, or have another batch size than the blobs.
            ValueError: no such layer, or values that do not fit. KeyError: no such blob.
        """
        first = self._layer_index(start, len(self.plan.layers) - 1)
        last = self._layer_index(end, 0)
        wanted = {*(self.inputs if end is None else self.bottom_names[end]), *((diffs or []) + [])}
        self._feed(kwargs, self.outputs, "diff", "Top diff arguments do not match net outputs.", "Diff")
        self._backward(first, last)
        return {name: self.blobs[name].diff for name in wanted}

    def _layer_index(self, name: str | None, default: int) -> int:
        if name is None:
            return default
        names = self._layer_names
        if name not in names:
            near = get_close_matches(str(name), names, 1)
            raise ValueError(f"no layer '{name}' in the net{f'; did you mean {near[0]}?' if near else ''}")
        return names.index(name)

    def _feed(self, given: Arrays, expected: Sequence[str], side: str, mismatch: str, what: str) -> None:
        if not given:
            return
        if set(given) != set(expected):
            raise Exception(f"{mismatch} Given: {sorted(given)}; expected: {sorted(expected)}")
        for name, value in given.items():
            if not hasattr(value, "shape"):
                raise AttributeError(f"{what} '{name}' is a {type(value).__name__}; an array is needed")
            blob = self.blobs[name]
            if value.shape and blob.dims and value.shape[0] != blob.dims[0]:
                raise Exception(
                    f"{what} is not batch sized: '{name}' is {value.shape}, the blob is {blob.dims}; "
                    "reshape the blob first"
                )
            try:
                getattr(blob, side)[...] = value
            except ValueError as error:
                raise ValueError(f"{what} '{name}': {error}; reshape the blob first") from error

    def forward_all(self, blobs: list[str] | None = None, **kwargs: np.ndarray) -> Arrays:
        """Run any number of items through the net in batches of its size.

        Args:
            blobs: names of further blobs to return.
            kwargs: values of all inputs, by name; axis 0 counts items.

        Returns:
            New arrays: the outputs and `blobs` of all items, padding removed.
        """
        collected: dict[str, list[np.ndarray]] = {}
        for batch in self._batch(kwargs):
            for name, value in self.forward(blobs, None, None, **batch).items():
                collected.setdefault(name, []).extend(value.copy())
        return self._without_padding(collected, kwargs)

    def forward_backward_all(
        self, blobs: list[str] | None = None, diffs: list[str] | None = None, **kwargs: np.ndarray
    ) -> tuple[Arrays, Arrays]:
        """Run forward and backward in batches; `kwargs` hold inputs, the diffs of outputs, or both.

        Returns:
            The data and the diffs, each as `forward_all` returns them.
        """
        values = {name: kwargs[name] for name in self.inputs if name in kwargs}
        tops = {name: kwargs[name] for name in self.outputs if name in kwargs}
        forward, backward = (self._batch(given) if given else iter(()) for given in (values, tops))
        data: dict[str, list[np.ndarray]] = {}
        grads: dict[str, list[np.ndarray]] = {}
        none: Arrays = {}
        for fed, seeded in zip_longest(forward, backward, fillvalue=none):
            for name, value in self.forward(blobs, None, None, **fed).items():
                data.setdefault(name, []).extend(value.copy())
            for name, value in self.backward(diffs, None, None, **seeded).items():
                grads.setdefault(name, []).extend(value.copy())
        return self._without_padding(data, kwargs), self._without_padding(grads, kwargs)

    @staticmethod
    def _without_padding(collected: dict[str, list[np.ndarray]], given: Arrays) -> Arrays:
        if not given:
            raise RuntimeError("no input arrays given: name at least one input")
        items = len(next(iter(given.values())))
        return {name: np.asarray(values[:items]) for name, values in collected.items()}

    def _batch(self, blobs: Arrays) -> Iterator[Arrays]:
        """Cut `blobs` (axis 0 counts items) into batches of the net's size, the last padded with zeros."""
        if not blobs:
            raise RuntimeError("no arrays to cut into batches: name at least one")
        items = len(next(iter(blobs.values())))
        size = next(iter(self.blobs.values())).num
        for begin in range(0, items, size):
            batch = {name: np.asarray(value[begin : begin + size]) for name, value in blobs.items()}
            short = size - min(size, items - begin)
            if short:
                batch = {
                    name: np.concatenate([value, np.zeros((short, *value.shape[1:]), value.dtype)])
                    for name, value in batch.items()
                }
            yield batch


class SGDSolver(_caffe.SGDSolver):
    """Stochastic gradient descent with momentum. ``SGDSolver(solver_file)``."""

    net_class = Net

    if TYPE_CHECKING:

        @property
        def net(self) -> Net: ...

        @property
        def test_nets(self) -> NetVec[Net]: ...  # type: ignore[override]  # of `net_class`


class NesterovSolver(_caffe.NesterovSolver, SGDSolver):
    """Nesterov's accelerated gradient."""


class AdaGradSolver(_caffe.AdaGradSolver, SGDSolver):
    """AdaGrad."""


class RMSPropSolver(_caffe.RMSPropSolver, SGDSolver):
    """RMSProp."""


class AdaDeltaSolver(_caffe.AdaDeltaSolver, SGDSolver):
    """AdaDelta."""


class AdamSolver(_caffe.AdamSolver, SGDSolver):
    """Adam."""


_SOLVERS = {
    solver.type_name: solver
    for solver in (SGDSolver, NesterovSolver, AdaGradSolver, RMSPropSolver, AdaDeltaSolver, AdamSolver)
}


def get_solver(solver_file: str | SolverParameter) -> SGDSolver:
    """The solver a solver prototxt (its file, or its message) describes, of the class its `type` names."""
    return _caffe.get_solver(solver_file, _SOLVERS)
