"""Solver states: where a training stands, beside the model of the same iteration.

Two formats, both Caffe's: a binary SolverState, and HDF5 (files ending in ``.h5``) with the datasets
`iter`, `learned_net`, `current_step` and the group `history`. The history has an array per learnable
parameter; AdaDelta and Adam have two, first all of one kind, then all of the other. It is read straight
into the solver's arrays once all of it is known to fit.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ...proto.caffe_pb2 import SolverState
from ..errors import SolverError
from ..formats import hdf5, wire
from ..formats.wire_writer import write_state

Shapes = Sequence[tuple[int, ...]]
_WHAT = "a solver state"


class Entry(Protocol):
    """One array of the history, still in the file."""

    def mismatch(self, shape: tuple[int, ...]) -> str:
        """What is in the file instead, if it does not fit an array of this shape; else ""."""

    def read_into(self, target: np.ndarray) -> None:
        """Copy it into an array that it fits."""


@dataclass
class State:
    """What a file of either format says."""

    path: str
    iter: int
    learned_net: str
    current_step: int
    history: Sequence[Entry]

    def read_history(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """The history in memory, in the shapes and the types of the solver's `tensors`.

        All of it is read before any of it is set: damage in an HDF5 file shows when it is read.
        """
        read = [torch.empty(tensor.shape, dtype=tensor.dtype) for tensor in tensors]
        for entry, tensor in zip(self.history, read):
            entry.read_into(tensor.numpy())
        return read

    def check(self, shapes: Shapes, histories: int, solver: str) -> None:
        """See that a solver can go on from here; the arguments are those of `load`.

        Raises:
            SolverError: the history has more or fewer arrays, or one differs in size (HDF5: in shape);
                or the model that belongs to the state is not there.
        """
        needed = histories * len(shapes)
        if len(self.history) != needed:
            raise SolverError(
                f"Incorrect length of history blobs: '{self.path}' has {len(self.history)}, this "
                f"net's {solver} solver needs {needed}, {histories} for each of {len(shapes)} learnable "
                "parameters: the state is of another type of solver or another net"
            )
        for index, (entry, shape) in enumerate(zip(self.history, [*shapes] * histories)):
            if found := entry.mismatch(shape):
                raise SolverError(
                    f"history blob {index} of '{self.path}' has {found}, the solver's has shape "
                    f"{shape}: the state is of another net"
                )
        if self.learned_net and not os.path.exists(self.learned_net):
            near = os.path.join(os.path.dirname(self.path), os.path.basename(self.learned_net))
            hint = f"; '{near}' is: go to the folder where the training ran" if os.path.exists(near) else ""
            raise SolverError(
                f"solver state '{self.path}' belongs to the model '{self.learned_net}', which is not there "
                f"when looked for from '{os.getcwd()}'{hint}"
            )


@dataclass
class _InMessage:
    values: wire.Values | None

    def mismatch(self, shape: tuple[int, ...]) -> str:
        # Caffe lets the stored shape replace the buffer's, whatever its size, and computes past its end.
        found = self.values.count if self.values else 0
        return "" if found == math.prod(shape) else f"{found} values"

    def read_into(self, target: np.ndarray) -> None:
        if self.values:
            self.values.read_into(target)


@dataclass
class _InHDF5:
    path: str
    index: int

    def mismatch(self, shape: tuple[int, ...]) -> str:
        with hdf5.reading(self.path) as file:
            found = hdf5.array_shape(file["history"], str(self.index))
        return "" if found == shape else f"shape {found}"

    def read_into(self, target: np.ndarray) -> None:
        with hdf5.reading(self.path) as file:
            hdf5.read_array(file["history"][str(self.index)], target)


def load(path: str | os.PathLike[str], shapes: Shapes, histories: int, solver: str) -> State:
    """Read a solver state and see that it fits: a name that ends in ``.h5`` is HDF5, any other binary.

    Args:
        shapes: of the learnable parameters.
        histories: how many arrays the solver keeps per parameter.
        solver: its type, such as ``Adam``.

    Raises:
        SolverError: there is no such file, it is no solver state, or not one of this solver and net.
        ParseError: the file is cut or corrupt.
    """
    path = os.fspath(path)
    _check_name(path)
    state = load_hdf5(path) if path.endswith(".h5") else load_binary(path)
    state.check(shapes, histories, solver)
    return state


def _check_name(path: str) -> None:
    wanted = path.replace(".caffemodel", ".solverstate")
    if wanted == path:
        wanted = f"{path}.solverstate"
    there = f"'{wanted}' {'exists' if os.path.exists(wanted) else 'does not exist either'}"
    if not os.path.exists(path):
        raise SolverError(f"File not found: {path}: there is no such solver state ({there})")
    if ".caffemodel" in path:
        there = there.removesuffix(" either")
        raise SolverError(f"'{path}' is a model; to resume a training its solver state is needed: {there}")


def load_binary(path: str | os.PathLike[str]) -> State:
    """Read a binary SolverState; see `load`."""
    header, refs = wire.scan(path, SolverState)
    if not header.HasField("iter"):
        raise SolverError(f"'{path}' is not a solver state: it names no iteration")
    history = [_InMessage(ref.get("data")) for ref in refs]
    return State(os.fspath(path), header.iter, header.learned_net, header.current_step, history)


def load_hdf5(path: str | os.PathLike[str]) -> State:
    """Read an HDF5 solver state; see `load`."""
    path = os.fspath(path)
    with hdf5.reading(path) as file:
        if not {"iter", "current_step", "history"} <= set(file):
            raise SolverError(f"'{path}' is not a solver state: it lacks iter, current_step or history")
        learned_net = hdf5.text_of(file, "learned_net", _WHAT) if "learned_net" in file else ""
        iteration, step = (hdf5.number_of(file, name, _WHAT) for name in ("iter", "current_step"))
        history = [_InHDF5(path, index) for index in range(len(hdf5.group_of(file, "history", _WHAT)))]
    return State(path, iteration, learned_net, step, history)


def save_binary(
    path: str | os.PathLike[str],
    iter: int,
    learned_net: str,
    current_step: int,
    history: Iterable[np.ndarray],
) -> None:
    """Write a binary SolverState. The file appears whole or not at all.

    Raises:
        WeightsError: it cannot be written.
    """
    state = SolverState(iter=iter, learned_net=learned_net, current_step=current_step)
    write_state(path, state, history)


def save_hdf5(
    path: str | os.PathLike[str],
    iter: int,
    learned_net: str,
    current_step: int,
    history: Iterable[np.ndarray],
) -> None:
    """Write an HDF5 solver state. The file appears whole or not at all.

    Raises:
        WeightsError: it cannot be written.
    """
    with hdf5.writing(path) as file:
        file.create_dataset("iter", data=np.array([iter], "<i4"))
        hdf5.save_text(file, "learned_net", learned_net)
        file.create_dataset("current_step", data=np.array([current_step], "<i4"))
        group = file.create_group("history")
        for index, array in enumerate(history):
            hdf5.save_array(group, str(index), array)
