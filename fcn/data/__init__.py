"""What a net is trained and scored on: two splits, what is missing of them, what is wrong in them."""

from __future__ import annotations

from .check import Check, check_split
from .inputs import MissingInputs, TrainingData, require

__all__ = ["Check", "MissingInputs", "TrainingData", "check_split", "require"]
