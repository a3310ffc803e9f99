"""What a net is trained and scored on: two splits, what is missing of them, what is wrong in them."""

from __future__ import annotations

from .audit import Audit, audit
from .check import Check, check_split
from .inputs import MissingInputs, TrainingData, require

__all__ = ["Audit", "Check", "MissingInputs", "TrainingData", "audit", "check_split", "require"]
