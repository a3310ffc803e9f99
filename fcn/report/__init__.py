"""A scored run as one page for people: numbers, images to look into, classes, curves, recipe, checks."""

from __future__ import annotations

from .page import NAME, Labeled, Report, write
from .source import of_run, of_score

__all__ = ["NAME", "Labeled", "Report", "of_run", "of_score", "write"]
