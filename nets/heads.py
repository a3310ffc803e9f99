"""The three heads of the paper over a trunk: scores at stride 32, 16 and 8 (Long et al., section 4.2).

Each head reads the trunk's last top and, for the skips, `pool4` and `pool3` of the net under
construction, and leaves the top `score` (1 x K x H x W, the size of `data`). Crop offsets are computed
from the geometry of the layers. `suffix` is of all names, where a net has more than one head.
"""

from __future__ import annotations

from caffe import NetSpec
from caffe import layers as L
from caffe.net_spec import Top

from .blocks import crop, fixed_scale, fuse, score, upsample


def head32(
    n: NetSpec, top: Top, classes: int, kernel: int = 64, offset: int | None = None, suffix: str = ""
) -> None:
    """Scores at stride 32, upsampled in one step.

    offset: of the crop, for a trunk through which `caffe.coord_map` finds no way: it knows no Concat.
    """
    coarse = n[f"score_fr{suffix}"] = score(top, classes)
    upscore = n[f"upscore{suffix}"] = upsample(coarse, classes, 32, kernel)
    if offset is None:
        n[f"score{suffix}"] = crop(upscore, n.data)
    else:
        n[f"score{suffix}"] = L.Crop(upscore, n.data, crop_param={"axis": 2, "offset": offset})


def head16(n: NetSpec, top: Top, classes: int, suffix: str = "") -> None:
    """Scores at stride 32 and from pool4, fused at stride 16."""
    coarse = n[f"score_fr{suffix}"] = score(top, classes)
    coarse = n[f"upscore2{suffix}"] = upsample(coarse, classes, 2)
    fused = _skip(n, "pool4", coarse, classes, suffix=suffix)
    upscore = n[f"upscore16{suffix}"] = upsample(fused, classes, 16)
    n[f"score{suffix}"] = crop(upscore, n.data)


def head8(
    n: NetSpec,
    top: Top,
    classes: int,
    scales: tuple[float | None, float | None] = (None, None),
    suffix: str = "",
) -> None:
    """Scores at stride 32, from pool4 and from pool3, fused at stride 8.

    `scales` multiply pool4 and pool3 before they are scored: the at-once net balances the gradients of
    the three streams this way.
    """
    coarse = n[f"score_fr{suffix}"] = score(top, classes)
    coarse = n[f"upscore2{suffix}"] = upsample(coarse, classes, 2)
    fused = _skip(n, "pool4", coarse, classes, scales[0], suffix)
    coarse = n[f"upscore_pool4{suffix}"] = upsample(fused, classes, 2)
    fused = _skip(n, "pool3", coarse, classes, scales[1], suffix)
    upscore = n[f"upscore8{suffix}"] = upsample(fused, classes, 8)
    n[f"score{suffix}"] = crop(upscore, n.data)


def _skip(
    n: NetSpec, pool: str, coarse: Top, classes: int, scale: float | None = None, suffix: str = ""
) -> Top:
    """Score `pool`, crop it to `coarse` and add the two."""
    features = n[pool]
    if scale is not None:
        features = n[f"scale_{pool}{suffix}"] = fixed_scale(features, scale)
    scored = n[f"score_{pool}{suffix}"] = score(features, classes)
    cropped = n[f"score_{pool}{suffix}c"] = crop(scored, coarse)
    fused = n[f"fuse_{pool}{suffix}"] = fuse(coarse, cropped)
    return fused
