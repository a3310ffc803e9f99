"""Net surgery: move parameters between nets, whatever their shapes; NumPy only.

Works on anything with `params`: a mapping from layer name to a list of blobs, each with `data`.
"""

from __future__ import annotations

from .bilinear import interp, interpolates, upsample_filt
from .parameters import Parameter, Report, expand_score, map_score, transplant, widen
from .protocols import BlobLike, ParamsLike

__all__ = [
    "BlobLike",
    "Parameter",
    "ParamsLike",
    "Report",
    "expand_score",
    "interp",
    "interpolates",
    "map_score",
    "transplant",
    "upsample_filt",
    "widen",
]
