"""The three heads of the paper over a trunk: scores at stride 32, 16 and 8 (Long et al., section 4.2).

Each head reads the trunk's last top and, for the skips, `pool4` and `pool3` of the net under
construction, and leaves the top `score` (1 x K x H x W, the size of `data`). Crop offsets are computed
from the geometry of the layers.
"""

from __future__ import annotations

from caffe import NetSpec
from caffe.net_spec import Top

from .blocks import crop, fixed_scale, fuse, score, upsample


def head32(n: NetSpec, top: Top, classes: int, kernel: int = 64) -> None:
    """Scores at stride 32, upsampled in one step."""
    n.score_fr = score(top, classes)
    n.upscore = upsample(n.score_fr, classes, 32, kernel)
    n.score = crop(n.upscore, n.data)


def head16(n: NetSpec, top: Top, classes: int) -> None:
    """Scores at stride 32 and from pool4, fused at stride 16."""
    n.score_fr = score(top, classes)
    n.upscore2 = upsample(n.score_fr, classes, 2)
    _skip(n, "pool4", n.upscore2, classes)
    n.upscore16 = upsample(n.fuse_pool4, classes, 16)
    n.score = crop(n.upscore16, n.data)


def head8(
    n: NetSpec, top: Top, classes: int, scales: tuple[float | None, float | None] = (None, None)
) -> None:
    """Scores at stride 32, from pool4 and from pool3, fused at stride 8.

    `scales` multiply pool4 and pool3 before they are scored: the at-once net balances the gradients of
    the three streams this way.
    """
    n.score_fr = score(top, classes)
    n.upscore2 = upsample(n.score_fr, classes, 2)
    _skip(n, "pool4", n.upscore2, classes, scales[0])
    n.upscore_pool4 = upsample(n.fuse_pool4, classes, 2)
    _skip(n, "pool3", n.upscore_pool4, classes, scales[1])
    n.upscore8 = upsample(n.fuse_pool3, classes, 8)
    n.score = crop(n.upscore8, n.data)


def _skip(n: NetSpec, pool: str, coarse: Top, classes: int, scale: float | None = None) -> None:
    """Score `pool`, crop it to `coarse` and add the two."""
    features = n[pool]
    if scale is not None:
        features = n[f"scale_{pool}"] = fixed_scale(features, scale)
    n[f"score_{pool}"] = score(features, classes)
    n[f"score_{pool}c"] = crop(n[f"score_{pool}"], coarse)
    n[f"fuse_{pool}"] = fuse(coarse, n[f"score_{pool}c"])
