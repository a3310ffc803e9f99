"""A scored run as one page for people: numbers, images to look into, classes, curves, recipe, checks."""

from __future__ import annotations

from .page import NAME, Report, write
from .source import of_run, of_score

__all__ = ["NAME", "Report", "of_run", "of_score", "write"]
