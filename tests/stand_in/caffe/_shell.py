"""Nets, blobs, layers and solvers as boost::python shows them."""

from __future__ import annotations

import functools
import os
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import engine_behind as engine
import numpy as np

from ._glog import fatal

# A real Caffe has no third file beside a snapshot.
engine._caffe.Net  # noqa: B018  loads the core
from engine_behind._caffe.solvers import resume  # noqa: E402

resume.save = lambda *args: None
resume.load = lambda path, nets: resume.Resume(path, {}, [])


@contextmanager
def checked() -> Iterator[None]:
    """End the process where the engine raises one of its own errors; what a Python layer raises passes."""
    try:
        yield
    except engine.CaffeError as error:
        fatal(str(error))


def open_file(path: str) -> None:
    """What pycaffe looks at before it lets Caffe check."""
    if not isinstance(path, str):
        raise TypeError("Python argument types did not match C++ signature")
    if not os.path.isfile(path):
        raise RuntimeError(f"Could not open file {path}")


class Vector:
    """A std::vector: a length, an index, slices."""

    def __init__(self, items: list[Any]) -> None:
        self._items = items

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int | slice) -> Any:
        return type(self)(self._items[index]) if isinstance(index, slice) else self._items[index]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._items)


class RawBlobVec(Vector):
    """The blobs that a Python layer is called with: bare pointers, which have no converter."""

    def __iter__(self) -> Iterator[Any]:
        raise TypeError("No to_python (by-value) converter found for C++ type: caffe::Blob<float>*")


class Blob:
    """What pycaffe's Blob has, and nothing else."""

    __slots__ = ("_blob",)

    def __init__(self, blob: Any) -> None:
        self._blob = blob

    @property
    def shape(self) -> list[int]:
        return list(self._blob.shape)

    @property
    def data(self) -> np.ndarray:
        return self._blob.data

    @property
    def diff(self) -> np.ndarray:
        return self._blob.diff

    @property
    def count(self) -> int:
        return self._blob.count

    def _axis(self, axis: int) -> int:
        return self.shape[axis] if axis < len(self.shape) else 1

    num = property(lambda self: self._axis(0))
    channels = property(lambda self: self._axis(1))
    height = property(lambda self: self._axis(2))
    width = property(lambda self: self._axis(3))

    def reshape(self, *dims: int) -> None:
        with checked():
            self._blob.reshape(*dims)


class Layer(engine.Layer):
    """The base of Python layers: their methods get vectors of pointers."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in ("setup", "reshape", "forward", "backward"):
            if name in vars(cls):
                setattr(cls, name, cls._with_vectors(vars(cls)[name]))

    @staticmethod
    def _with_vectors(method: Callable[..., None]) -> Callable[..., None]:
        def pointers(blobs: Any) -> Any:
            if isinstance(blobs, RawBlobVec) or (len(blobs) and isinstance(blobs[0], bool)):
                return blobs
            return RawBlobVec([Blob(blob) for blob in blobs])

        @functools.wraps(method)
        def call(self: Any, *arguments: Any) -> None:
            method(self, *map(pointers, arguments))

        return call


class SeenLayer:
    """A layer of a net: its type and its parameters."""

    def __init__(self, layer: Any) -> None:
        self.type, self.blobs = layer.type, Vector([Blob(blob) for blob in layer.blobs])


class Net:
    """`Net(network_file, phase, level=0, stages=None, weights=None)`; of old `Net(file, weights, phase)`."""

    def __init__(self, network_file: str, *old: Any, **given: Any) -> None:
        modern = ("phase", "level", "stages", "weights")
        legacy = len(old) == 2 and isinstance(old[0], str)
        given.update(zip(("weights", "phase") if legacy else modern, old))
        if not isinstance(given.get("phase"), int) or given.keys() - set(modern):
            raise TypeError("Python argument types in Net.__init__ did not match C++ signature")
        open_file(network_file)
        weights = given.pop("weights", None)
        with checked():
            self._net = engine.Net(network_file, given.pop("phase"), **given)
        if weights is not None:
            open_file(weights)
            self.copy_from(weights)

    @classmethod
    def _of(cls, net: Any) -> Net:
        """A new Python object for a net of the engine, as every access to `solver.net` makes one."""
        seen = cls.__new__(cls)
        seen._net = net
        return seen

    @property
    def blobs(self) -> OrderedDict[str, Blob]:
        return OrderedDict((name, Blob(blob)) for name, blob in self._net.blobs.items())

    @property
    def params(self) -> OrderedDict[str, Vector]:
        found = self._net.params.items()
        return OrderedDict((name, Vector([Blob(blob) for blob in blobs])) for name, blobs in found)

    @property
    def layers(self) -> Vector:
        return Vector([SeenLayer(layer) for layer in self._net.layers])

    @property
    def layer_dict(self) -> OrderedDict[str, SeenLayer]:
        return OrderedDict(zip(self._net._layer_names, self.layers))

    @property
    def inputs(self) -> list[str]:
        return list(self._net.inputs)

    @property
    def outputs(self) -> list[str]:
        return list(self._net.outputs)

    def forward(self, blobs: list[str] | None = None, **inputs: Any) -> dict[str, np.ndarray]:
        with checked():
            return self._net.forward(blobs, **inputs)

    def reshape(self) -> None:
        with checked():
            self._net.reshape()

    def share_with(self, other: Net) -> None:
        with checked():
            self._net.share_with(other._net)

    def copy_from(self, path: str) -> None:
        with checked():
            self._net.copy_from(path)

    def save(self, path: str) -> None:
        with checked():
            self._net.save(path)

    def save_hdf5(self, path: str) -> None:
        with checked():
            self._net.save_hdf5(path)


class Solver:
    """`SGDSolver(file)` and the others."""

    def __init__(self, solver_file: str) -> None:
        if not isinstance(solver_file, str):
            raise TypeError("Python argument types in SGDSolver.__init__ did not match C++ signature")
        with checked():
            self._solver = engine.get_solver(solver_file)

    @property
    def net(self) -> Net:
        return Net._of(self._solver.net)

    @property
    def test_nets(self) -> Vector:
        return Vector([Net._of(net) for net in self._solver.test_nets])

    @property
    def iter(self) -> int:
        return self._solver.iter

    def step(self, iterations: int) -> None:
        with checked():
            self._solver.step(iterations)

    def solve(self, resume_file: str | None = None) -> None:
        with checked():
            self._solver.solve(resume_file)

    def snapshot(self) -> None:
        with checked():
            self._solver.snapshot()

    def restore(self, path: str) -> None:
        with checked():
            self._solver.restore(path)


SGDSolver = NesterovSolver = AdaGradSolver = RMSPropSolver = AdaDeltaSolver = AdamSolver = Solver
get_solver = Solver


def set_mode_cpu() -> None:
    """There is nothing else."""


def set_mode_gpu() -> None:
    """Only what needs the GPU finds that there is none."""


def set_device(index: int) -> None:
    fatal("Cannot use GPU in CPU-only Caffe: check mode.")


def set_random_seed(seed: int) -> None:
    engine.set_random_seed(seed)
