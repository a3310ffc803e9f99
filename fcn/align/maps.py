"""Where a blob lies over another: pycaffe's `coord_map`, for a net that is given as a prototxt.

`coord_map` follows the tops of a `NetSpec`. Here these are made of the moves of a `Geometry`: a pooling moves
places as a convolution does, and what works on each place alone as a sum.
Source: Long et al., section 4.3.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from caffe import coord_map
from caffe.net_spec import Function, Top

from ..infer.geometry import Cut, Geometry, Move, Spread

#: Along (H, W).
Pair = tuple[float, float]


@dataclass(frozen=True)
class Place:
    """Where a blob lies over another, along (H, W): index i at `first + i * stride`.

    Whole numbers are the centres of pixels, as in `coord_map`.
    """

    stride: Pair
    first: Pair


def tops(geometry: Geometry) -> dict[str, Top]:
    """Each blob as the top of a layer that moves places as its own does; the last one of a name."""
    made: dict[str, Top] = {}
    for step in geometry.steps:
        bottoms = tuple(made.setdefault(name, _image()) for name in step.bottoms)
        kind, settings = _as_layer(step.moves)
        layer = Function(kind, bottoms, {"ntop": len(step.tops), **settings})
        made.update(zip(step.tops, layer.tops))
    return made


def place(of: Top, over: Top) -> Place | None:
    """Where the blob `of` lies over the blob `over`; None where no layers connect the two."""
    try:
        _, stride, first = coord_map.coord_map_from_to(of, over)
    except RuntimeError:
        return None
    return Place(_pair(stride), _pair(first))


def first_place(of: Top, over: Iterable[Top]) -> Place | None:
    """`place` over the first blob that is connected with `of`."""
    return next((found for top in over if (found := place(of, top))), None)


def _image() -> Top:
    (top,) = Function("Input", (), {}).tops
    return top


def _as_layer(moves: tuple[Move, Move]) -> tuple[str, dict[str, Any]]:
    """The type and the settings of a layer that `coord_map` knows."""
    rows, columns = moves
    if rows is None or columns is None:
        return "Eltwise", {}
    if isinstance(rows, Cut) and isinstance(columns, Cut):
        return "Crop", {"axis": 2, "offset": [rows.offset, columns.offset]}
    assert not isinstance(rows, Cut) and not isinstance(columns, Cut)
    window = {
        "kernel_size": [rows.extent, columns.extent],
        "stride": [rows.stride, columns.stride],
        "pad": [rows.pad, columns.pad],
    }
    return "Deconvolution" if isinstance(rows, Spread) else "Convolution", window


def _pair(values: Any) -> Pair:
    height, width = np.broadcast_to(np.ravel(values), 2).tolist()
    return float(height), float(width)
