"""The paper on a laptop: drawn scenes in VOC layout, the four stages on them, and the table at the end."""

from __future__ import annotations

from .dataset import make_dataset
from .outcome import report, shortfalls
from .stages import FULL, QUICK, Setting, train

__all__ = ["FULL", "QUICK", "Setting", "make_dataset", "report", "shortfalls", "train"]
