"""Whether parameters from elsewhere fit a layer, and what is said when they do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .blob import Blob
from .blobproto import shape_text
from .errors import WeightsError


@dataclass(frozen=True)
class LoadTarget:
    """A layer of a net as weights see it; `owned` tells of each blob whether it is no sharer's."""

    name: str
    type: str
    blobs: Sequence[Blob]
    owned: Sequence[bool]


def wrong_count(origin: str, target: LoadTarget, found: int) -> WeightsError:
    """`origin` (words for an error) has `found` blobs for the layer."""
    return WeightsError(
        f"Incompatible number of blobs for layer {target.name} ({target.type}): {origin} has {found}, the "
        f"net needs {len(target.blobs)}. Make the layers alike (bias_term?), or rename the layer to have it "
        "start from its fillers"
    )


def wrong_shape(verb: str, origin: str, target: LoadTarget, index: int, found: Sequence[int]) -> WeightsError:
    """Blob `index` of the layer cannot `verb` (copy, share, load) what `origin` has: shape `found`."""
    wanted = target.blobs[index].dims
    mend = (
        "Build both nets with the same shapes"
        if verb == "share"
        else "To learn this layer's parameters from scratch rather than copying from a saved net, rename the "
        "layer; to convert them, load them into a net of the source's shapes and copy through net.params"
    )
    return WeightsError(
        f"Cannot {verb} param {index} weights from layer '{target.name}'; shape mismatch.  Source param "
        f"shape is {shape_text(found)}; target param shape is {shape_text(wanted)}. {mend} (layer type "
        f"{target.type}; source: {origin})"
    )
