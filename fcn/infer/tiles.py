"""An image in tiles: where they lie, so that the scores put together are those of the whole image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from voc_layers.reading import SampleError

from ..predictor import Predictor
from .geometry import Geometry, Sides

#: A place in an image: rows, columns.
Place = tuple[slice, slice]
INSIDE = Sides(before=True, behind=True)


@dataclass(frozen=True)
class Tiling:
    """Tiles of at most `side` pixels, as far apart as the geometry of a net allows, or as is asked for.

    Attributes:
        overlap: of neighbours, in pixels; None for the least at which every score is the whole image's.
    """

    geometry: Geometry
    side: int
    overlap: int | None = None

    def __post_init__(self) -> None:
        for axis in (0, 1):
            self.stride(axis)  # refuses what cannot be

    def margins(self, axis: int) -> tuple[int, int]:
        """How many scores at a tile's beginning and end differ from the whole image's, where that goes on."""
        first, last = self.geometry.exact(axis, self.side, INSIDE)
        return first, self.side - last

    def stride(self, axis: int) -> int:
        """From one tile to the next, in pixels.

        Raises:
            SampleError: tiles of this side cannot overlap as they have to.
        """
        grid, overlap = self.geometry.grid(axis), self.overlap
        least = sum(self.margins(axis)) if overlap is None else overlap
        stride = (self.side - least) // grid * grid
        if stride < grid:
            raise SampleError(
                f"tiles of {self.side} pixels that overlap by {least} are too small for this net, which goes "
                f"on in steps of {grid}: take tiles of {self.least_side(axis)} or more"
            )
        return stride

    def least_side(self, axis: int) -> int:
        """The smallest `side` that leaves room between the margins, or beside the overlap."""
        grid = self.geometry.grid(axis)
        if self.overlap is not None:
            return self.overlap + grid
        side = self.side
        while True:
            first, last = self.geometry.exact(axis, side, INSIDE)
            if last - first >= grid:
                return side
            side += grid

    @property
    def is_exact(self) -> bool:
        """Whether every score put together is the whole image's."""
        return all(self.stride(axis) <= self.side - sum(self.margins(axis)) for axis in (0, 1))

    def spans(self, axis: int, length: int) -> list[tuple[slice, slice]]:
        """Along one axis: what each tile reads of `length` pixels, and which of them get its scores.

        A seam lies in the middle of what both tiles have right, or of their overlap where there is no such.
        """
        if length <= self.side:
            return [(slice(0, length), slice(0, length))]
        stride = self.stride(axis)
        starts = range(0, length - self.side + stride, stride)
        before, behind = self.margins(axis)
        shared = self.side - stride
        seam = min(max(before + (shared - before - behind) // 2, 0), shared)
        cuts = [0, *(start + seam for start in starts[1:]), length]
        reads = [slice(start, min(start + self.side, length)) for start in starts]
        return [(read, slice(*ends)) for read, ends in zip(reads, pairwise(cuts))]

    def tiles(self, shape: Sequence[int]) -> Iterator[tuple[Place, Place]]:
        """What each tile reads of an image of `shape` (H, W), and which pixels get its scores."""
        for row, rows in self.spans(0, shape[0]):
            for column, columns in self.spans(1, shape[1]):
                yield (row, column), (rows, columns)

    def describe(self) -> str:
        """The tiles and their margins, for a message."""
        sides = [" + ".join(map(str, self.margins(axis))) for axis in (0, 1)]
        overlaps = [self.side - self.stride(axis) for axis in (0, 1)]
        margin = sides[0] if sides[0] == sides[1] else f"{sides[0]} rows, {sides[1]} columns"
        overlap = (
            str(overlaps[0]) if overlaps[0] == overlaps[1] else f"{overlaps[0]} rows, {overlaps[1]} columns"
        )
        same = "as of the whole image" if self.is_exact else "not as of the whole image at the seams"
        return f"tiles of {self.side}, overlap {overlap}, margin {margin}: {same}"


def scored(
    net: Predictor, views: Sequence[np.ndarray], layers: Sequence[str], tiling: Tiling | None = None
) -> Iterator[tuple[Place, list[np.ndarray]]]:
    """The scores of an image, tile by tile (the whole at once without a tiling): where they belong, and they.

    Args:
        net: looks at `views`, as the `read` of its inputs gives them.
        layers: blobs of the net, K x H x W; their scores are the net's own memory until the next tile.
    """
    height, width = views[0].shape[:2]
    whole: Place = (slice(0, height), slice(0, width))
    places = tiling.tiles((height, width)) if tiling else [(whole, whole)]
    for read, place in places:
        net.scores(*(view[read] for view in views))
        for layer in layers:
            _check_size(net.of(layer).found, views[0][read], layer)
        rows, columns = (slice(p.start - r.start, p.stop - r.start) for p, r in zip(place, read))
        yield place, [net.of(layer).found[everywhere((rows, columns))] for layer in layers]


def everywhere(place: Place) -> tuple[slice, slice, slice]:
    """A place in all planes of K x H x W."""
    return (slice(None), *place)


def _check_size(scores: np.ndarray, view: np.ndarray, layer: str) -> None:
    if scores.shape[1:] != view.shape[:2]:
        raise SampleError(
            f"the net's blob '{layer}' has scores of {scores.shape[1:]} (H, W) for an image of "
            f"{view.shape[:2]}: expected a score for each pixel"
        )
