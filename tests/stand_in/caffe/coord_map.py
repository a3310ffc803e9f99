"""`crop(coarse, reference)`, without the offset."""

from __future__ import annotations

from .net_spec import Top, layers


def crop(top_from: Top, top_to: Top) -> Top:
    return layers.Crop(top_from, top_to)
