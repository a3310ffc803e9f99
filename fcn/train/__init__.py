"""Training: one stage, the chain of them, how weights are handed over, progress, signals, divergence."""

from __future__ import annotations

from ..job import Job
from ..runs import Run
from .chain import chain, recipes, resume_run, train_chain
from .handover import find_weights
from .keeper import NoSnapshot
from .numbers import Diverged
from .session import Session
from .stage import train
from .stopping import Interrupted
from .trouble import OutOfMemory

__all__ = [
    "Diverged",
    "Interrupted",
    "Job",
    "NoSnapshot",
    "OutOfMemory",
    "Run",
    "Session",
    "chain",
    "find_weights",
    "recipes",
    "resume_run",
    "train",
    "train_chain",
]
