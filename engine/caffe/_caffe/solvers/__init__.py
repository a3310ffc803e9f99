"""Solvers: the training loop, Caffe's learning-rate policies and update rules, snapshots."""

from .control import SolverAction, SolverParameter
from .loop import Solver
from .types import (
    AdaDeltaSolver,
    AdaGradSolver,
    AdamSolver,
    NesterovSolver,
    RMSPropSolver,
    SGDSolver,
    get_solver,
)

__all__ = [
    "AdaDeltaSolver",
    "AdaGradSolver",
    "AdamSolver",
    "NesterovSolver",
    "RMSPropSolver",
    "SGDSolver",
    "Solver",
    "SolverAction",
    "SolverParameter",
    "get_solver",
]
