"""The one message for a layer that reads what no layer above it makes."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from ..errors import NetError


def unknown_bottom(
    blob: str, layer: str, index: int, known: Sequence[str], later: Iterable[tuple[str, Iterable[str]]]
) -> NetError:
    """The error for `blob`, bottom `index` of `layer`, with what was meant as far as can be told.

    Args:
        known: the blobs made above.
        later: the name and the tops of this layer and of those below it.
    """
    maker = next((name for name, tops in later if blob in tops), None)
    near = difflib.get_close_matches(blob, known, 1)
    if maker is not None:
        advice = f"layer '{maker}' makes it, but only here or further down; layers run in file order"
    elif near:
        advice = f"did you mean '{near[0]}'?"
    else:
        advice = f"blobs made above: {', '.join(known) or 'none'}"
    return NetError(f"Unknown bottom blob '{blob}' (layer '{layer}', bottom index {index}): {advice}")
