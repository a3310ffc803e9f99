"""Counting pixels: histograms, the paper's four numbers, scorecards, baselines."""

from __future__ import annotations

from .counts import ImageCount, Tally
from .evaluate import evaluate
from .histograms import Truth, compute_hist, save_label
from .images import ImageScore
from .metrics import METRICS, Scores, fast_hist
from .request import ScoreRequest
from .scorecard import Scorecard
from .scoring import contribute, score
from .text import summary

__all__ = [
    "METRICS",
    "ImageCount",
    "ImageScore",
    "ScoreRequest",
    "Scorecard",
    "Scores",
    "Tally",
    "Truth",
    "compute_hist",
    "contribute",
    "evaluate",
    "fast_hist",
    "save_label",
    "score",
    "summary",
]
