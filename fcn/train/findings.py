"""What to look at before the first step: the usual reasons for nets that never learn."""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Any

import surgery

log = logging.getLogger("fcn")


def findings(net: surgery.ParamsLike, proto: Any, untouched: Collection[str] = ()) -> list[tuple[str, str]]:
    """(layer, what is suspicious) for a net about to be trained; `proto` is its NetParameter.

    Learning layers whose weights are all zero (score layers apart: they start at zero by design), learning
    layers in `untouched`, which received nothing from a file, and deconvolutions that do not interpolate.
    """
    rows = []
    for layer in proto.layer:
        if layer.name not in net.params:
            continue
        weights = net.params[layer.name][0].data
        learns = not layer.param or layer.param[0].lr_mult != 0
        if layer.type == "Deconvolution":
            if not surgery.interpolates(weights):
                rows.append((layer.name, "a deconvolution that does not start bilinear (surgery.interp)"))
        elif not learns or "score" in layer.name:
            continue
        elif not weights.any():
            rows.append((layer.name, "learns, but all its weights are zero"))
        elif layer.name in untouched:
            rows.append((layer.name, "received no weights from the file; starts from its filler"))
    return rows


def warn(rows: list[tuple[str, str]]) -> None:
    """Log the findings as one table; nothing if there are none."""
    if rows:
        width = max(len(name) for name, _ in rows)
        table = "\n".join(f"  {name:{width}s}  {what}" for name, what in rows)
        log.warning("before training, look at these layers:\n%s", table)
