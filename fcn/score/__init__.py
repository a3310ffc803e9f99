"""Counting pixels: histograms, the paper's four numbers, scorecards, baselines."""

from __future__ import annotations

from .evaluate import evaluate
from .histograms import Truth, compute_hist, save_label
from .metrics import METRICS, Scores, fast_hist
from .request import ScoreRequest, score
from .scorecard import Scorecard, summary

__all__ = [
    "METRICS",
    "ScoreRequest",
    "Scorecard",
    "Scores",
    "Truth",
    "compute_hist",
    "evaluate",
    "fast_hist",
    "save_label",
    "score",
    "summary",
]
