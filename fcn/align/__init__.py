"""Where the maps of a net lie over its image, and whether its crops line them up."""

from __future__ import annotations

from .alignment import Alignment, align
from .maps import Place, place

__all__ = ["Alignment", "Place", "align", "place"]
