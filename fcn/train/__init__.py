"""Training: one stage, the chain of them, how weights are handed over, progress, signals, divergence."""

from __future__ import annotations

from ..job import Job
from ..runs import Run
from .chain import chain, recipes, resume_run, train_chain
from .finetune import default_models, from_other_classes
from .handover import find_weights
from .keeping.keeper import NoSnapshot
from .numbers import Diverged
from .session import Session
from .stage import train
from .stopping import Interrupted
from .suited import announce, load_of, suited_kind, suited_trunk
from .trouble import OutOfMemory

__all__ = [
    "Diverged",
    "Interrupted",
    "Job",
    "NoSnapshot",
    "OutOfMemory",
    "Run",
    "Session",
    "announce",
    "chain",
    "default_models",
    "find_weights",
    "from_other_classes",
    "load_of",
    "recipes",
    "resume_run",
    "suited_kind",
    "suited_trunk",
    "train",
    "train_chain",
]
