"""What a solverstate holds, looked at before a solver goes on from it.

A real Caffe ends the process when a state does not fit the solver. It reads the weights from the path they
had when the state was written: in a copied or renamed folder that is nothing, or another run's by now.
"""

from __future__ import annotations

import mmap
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from surgery import BlobLike

from . import caffemodel, hdf5, wire
from .wire import Shape

# caffe.proto, SolverState.
_ITER, _LEARNED_NET, _HISTORY = 1, 2, 3
#: Solver types that keep two arrays for each parameter; the others keep one.
_TWO = ("Adam", "AdaDelta")


def arrays_kept(solver: str) -> int:
    """How many arrays a solver of this type keeps for each parameter."""
    return 2 if solver in _TWO else 1


@dataclass(frozen=True)
class SolverState:
    """A solverstate. model: the path of its weights when it was written. history: shapes of its arrays."""

    path: Path
    iteration: int
    model: str
    history: tuple[Shape, ...]

    @classmethod
    def read(cls, path: Path) -> SolverState:
        """Read the state, but not the values of its history.

        Raises:
            ValueError: a file that is cut off or no solverstate.
        """
        if caffemodel.is_hdf5(path):
            return cls._read_hdf5(path)

        def parse(data: mmap.mmap) -> SolverState:
            iteration = [v for n, v in wire.fields(data, 0, len(data)) if n == _ITER and isinstance(v, int)]
            if not iteration:
                raise IndexError("it names no iteration")
            names = wire.spans(data, 0, len(data), _LEARNED_NET)
            model = wire.text(data, names[-1]) if names else ""
            history = (wire.blob_shape(data, *span) for span in wire.spans(data, 0, len(data), _HISTORY))
            return cls(path, iteration[-1], model, tuple(history))

        return wire.read(path, "solverstate", parse)

    @classmethod
    def _read_hdf5(cls, path: Path) -> SolverState:
        with hdf5.opened(path, "solverstate") as file:
            history = file["history"]
            shapes = tuple(tuple(history[str(i)].shape) for i in range(len(history)))
            model = file["learned_net"].asstr()[()] if "learned_net" in file else ""
            return cls(path, int(np.ravel(file["iter"][()])[0]), str(model), shapes)

    @property
    def weights(self) -> Path:
        """The caffemodel that lies beside it."""
        return self.path.with_name(self.path.name.replace(".solverstate", ".caffemodel"))

    def check(self, params: Mapping[str, Sequence[BlobLike]], solver: str) -> None:
        """See that a solver of a type, of a net with these `params`, can go on from here.

        Raises:
            ValueError: the weights are not beside the state, or one of the two does not fit.
        """
        if not self.weights.is_file():
            raise ValueError(
                f"{self.path}: expected its weights {self.weights.name} beside it, found nothing; a snapshot "
                "is the two of them"
            )
        caffemodel.check_fit(self.weights, params, caffemodel.shapes(self.weights))
        wanted = [tuple(blob.data.shape) for blobs in params.values() for blob in blobs]
        wanted *= arrays_kept(solver)
        if [caffemodel.bare(s) for s in self.history] != [caffemodel.bare(s) for s in wanted]:
            raise ValueError(
                f"{self.path} does not fit the net: its history has {len(self.history)} arrays, {solver} "
                f"needs {len(wanted)}, each of the shape of a parameter; it is of another net, or of another "
                "type of solver"
            )

    @contextmanager
    def at_home(self, scratch: Path) -> Iterator[Path]:
        """The path of the state, or of a copy in the folder `scratch` that names the weights beside it."""
        if Path(self.model).is_file() and Path(self.model).samefile(self.weights):
            yield self.path
            return
        with tempfile.TemporaryDirectory(prefix="resume-", dir=scratch) as folder:
            copy = Path(folder, self.path.name)
            shutil.copyfile(self.path, copy)
            self._name_weights(copy)
            # What our engine keeps beside the two files that every Caffe has.
            rest = self.path.name.partition(".solverstate")[0] + ".resume"
            if self.path.with_name(rest).is_file():
                shutil.copyfile(self.path.with_name(rest), Path(folder, rest))
            yield copy

    def _name_weights(self, copy: Path) -> None:
        name = str(self.weights.absolute())
        if caffemodel.is_hdf5(copy):
            with hdf5.opened(copy, "solverstate", "r+") as file:
                if "learned_net" in file:
                    del file["learned_net"]
                text = np.array(name.encode(), f"S{len(name.encode()) + 1}")  # Caffe reads up to the zero
                file.create_dataset("learned_net", data=text)
            return
        with copy.open("ab") as file:  # of a field that is there twice, the last one counts
            value = name.encode()
            file.write(wire.varint(_LEARNED_NET << 3 | 2) + wire.varint(len(value)) + value)
