"""Which images a page shows: the best, those in the middle, the worst."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..score import ImageScore

#: Of each kind.
EACH = 3


def chosen(scores: Sequence[ImageScore], each: int = EACH) -> dict[str, list[ImageScore]]:
    """Kind -> images of it by their mean IU, best first, `each` of a kind at most and none of two kinds.

    Images that are void have no mean IU, and are not shown. Where there are few images the kinds share them.
    """
    ranked = sorted((one for one in scores if not math.isnan(one.mean_iu)), key=lambda one: -one.mean_iu)
    if len(ranked) < 3:
        return {"Best": ranked[:1], "Worst": ranked[1:]}
    each = min(each, len(ranked) // 3)
    middle = (len(ranked) - each) // 2
    return {"Best": ranked[:each], "Median": ranked[middle : middle + each], "Worst": ranked[-each:]}
