"""Whether parameters from elsewhere fit a layer, and what is said when they do not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..blob import Blob
from ..errors import WeightsError
from ..formats.blobproto import shape_text
from ..log import log


@dataclass(frozen=True)
class LoadTarget:
    """A layer of a net as weights see it; `owned` tells of each blob whether it is no sharer's."""

    name: str
    type: str
    blobs: Sequence[Blob]
    owned: Sequence[bool]


def warn_of_nothing(copies: Sequence[object], targets: Sequence[LoadTarget], origin: str) -> None:
    """Warn where a net with parameters gets none: Caffe computes with what its fillers made, in silence."""
    if not copies and any(target.blobs for target in targets):
        log.warning("%s has parameters for no layer of the net: nothing is loaded", origin)


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


def pairs(sources: Iterable[Any], targets: Sequence[LoadTarget]) -> Iterator[tuple[Any, LoadTarget]]:
    """Each source with the first target of its name."""
    first: dict[str, LoadTarget] = {}
    for target in targets:
        first.setdefault(target.name, target)
    for source in sources:
        if source.name in first:
            yield source, first[source.name]
        else:
            log.info("Ignoring source layer %s", source.name)


def share(sources: Iterable[LoadTarget], targets: Sequence[LoadTarget]) -> None:
    """Let the targets' blobs use the data memory of the sources of the same names; diffs stay apart.

    Raises:
        WeightsError: a layer's blobs differ in number or shape.
    """
    shared = []
    for source, target in pairs(sources, targets):
        if len(source.blobs) != len(target.blobs):
            raise wrong_count("the net to share with", target, len(source.blobs))
        for index, (theirs, ours) in enumerate(zip(source.blobs, target.blobs)):
            if theirs.dims != ours.dims:
                raise wrong_shape("share", "the net to share with", target, index, theirs.dims)
            shared.append((theirs, ours))
    for theirs, ours in shared:
        ours.share_data(theirs)
