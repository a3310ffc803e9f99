"""The data layer of SIFT Flow, under the names of the reference release: `module: 'siftflow_layers'`."""

from __future__ import annotations

from typing import Any

from voc_layers.base import SegDataLayer
from voc_layers.sets.siftflow import SiftFlowFolder


class SIFTFlowSegDataLayer(SegDataLayer):
    """Scenes of SIFT Flow, one at a time, with both labelings.

    Tops: data 1 x 3 x H x W (BGR, mean subtracted); semantic labels, classes 0 .. 32, and geometric labels,
    0 .. 2, 1 x 1 x H x W each, 255 for void; the files count classes from 1.
    param_str: `siftflow_dir`, `split`; and what is optional in every `SegDataLayer`.
    """

    layout = SiftFlowFolder
    required = frozenset({SiftFlowFolder.key, "split"})

    def top_names(self, params: dict[str, Any]) -> tuple[str, ...]:
        return "data", "semantic label", "geometric label"


__all__ = ["SIFTFlowSegDataLayer"]
