"""What runs wrote of themselves while they were trained, as curves and as pictures of them."""

from __future__ import annotations

from .history import Curve, History, histories, one_after_the_other, smoothed
from .picture import draw_histories, draw_run

__all__ = ["Curve", "History", "draw_histories", "draw_run", "histories", "one_after_the_other", "smoothed"]
