"""Net surgery: move parameters between nets, whatever their shapes; NumPy only.

Works on anything with ``params``: a mapping from layer name to a list of blobs, each with ``data``.
"""

from __future__ import annotations

from .bilinear import interp, upsample_filt
from .weights import Report, expand_score, transplant

__all__ = ["Report", "expand_score", "interp", "transplant", "upsample_filt"]
