"""The six solvers by name."""

from __future__ import annotations

import os
from collections.abc import Mapping

from ...proto.caffe_pb2 import SolverParameter as SolverMessage
from ..errors import SolverError
from ..graph.read import read_solver
from . import updates
from .loop import AnySolver, Solver


class SGDSolver(Solver):
    """Stochastic gradient descent with momentum."""

    type_name = "SGD"
    rule = updates.sgd


class NesterovSolver(SGDSolver):
    """Nesterov's accelerated gradient."""

    type_name = "Nesterov"
    rule = updates.nesterov


class AdaGradSolver(SGDSolver):
    """AdaGrad; takes no momentum."""

    type_name = "AdaGrad"
    rule = updates.adagrad


class RMSPropSolver(SGDSolver):
    """RMSProp; takes no momentum, `rms_decay` in [0, 1)."""

    type_name = "RMSProp"
    rule = updates.rmsprop


class AdaDeltaSolver(SGDSolver):
    """AdaDelta; `momentum` is the decay of both averages."""

    type_name = "AdaDelta"
    histories = 2
    rule = updates.adadelta


class AdamSolver(SGDSolver):
    """Adam; `momentum` and `momentum2` are beta1 and beta2."""

    type_name = "Adam"
    histories = 2
    rule = updates.adam


def get_solver(solver: str | SolverMessage, classes: Mapping[str, type[AnySolver]]) -> AnySolver:
    """The solver of the class that the `type` of a solver prototxt, or of its message, names.

    Args:
        classes: by type name.

    Raises:
        SolverError: no such type.
    """
    if isinstance(solver, (str, os.PathLike)):
        solver = read_solver(os.fspath(solver))
    if not isinstance(solver, SolverMessage):
        raise TypeError(f"get_solver: a file name is needed, not {type(solver).__name__}")
    if solver.type not in classes:
        raise SolverError(f"Unknown solver type: {solver.type} (known types: {', '.join(sorted(classes))})")
    return classes[solver.type].from_proto(solver)
