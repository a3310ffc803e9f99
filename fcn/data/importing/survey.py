"""What is in the labels of a source: read once before it is decided what their values mean."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from voc_layers.reading import SampleError, read_size

from ..parallel import each
from .report import LEFT_OUT, Record, shown
from .sample import Raster, Sample
from .table import packed

#: A label with more colours than this was not drawn in the colours of classes.
MOST_COLOURS = 1 << 12


@dataclass(frozen=True)
class Seen:
    """The values of one label, or its packed colours, with their numbers of pixels; and its palette."""

    file: str
    counts: dict[int, int]
    coloured: bool
    palette: tuple[int, ...] = ()

    def colours(self) -> dict[int, int]:
        """The same as packed colours: of the palette, or grey ones."""
        if self.coloured:
            return self.counts
        found: Counter[int] = Counter()
        for value, count in self.counts.items():
            found[colour_of(value, self.palette)] += count
        return dict(found)


def colour_of(value: int, palette: Sequence[int]) -> int:
    """The packed colour of a label value: the palette's, or without one a grey."""
    if not palette:
        return max(0, min(value, 255)) * 0x010101
    red, green, blue = (*palette[3 * value : 3 * value + 3], 0, 0, 0)[:3]
    return red << 16 | green << 8 | blue


def look(raster: Raster, file: str) -> Seen:
    """Count the values of a label. SampleError where it has more colours than classes can have."""
    if not raster.coloured:
        values, counts = np.unique(raster.values, return_counts=True)
        return Seen(file, dict(zip(values.tolist(), counts.tolist())), False, raster.palette)
    found = Image.fromarray(raster.values).getcolors(MOST_COLOURS)
    if found is None:
        raise SampleError(
            f"{file}: expected a label in a few colours, found more than {MOST_COLOURS}: a photograph, or a "
            "mask that was compressed as JPEG or scaled with smoothing"
        )
    keys = packed(np.array([colour for _, colour in found], np.uint8)).tolist()
    return Seen(file, dict(zip(keys, (count for count, _ in found))), True)


def survey(samples: Sequence[Sample], root: Path) -> tuple[list[Sample], list[Seen], list[Record]]:
    """Look at every label.

    Args:
        root: of the source, that records are relative to.

    Returns:
        The samples whose labels can be read, what is in these labels, and why others can't be read.
    """

    def one(sample: Sample) -> Seen | Record:
        try:
            return look(sample.label.read(read_size(sample.image)), shown(sample.label.path))
        except SampleError as problem:
            return Record(sample.label.path.relative_to(root).as_posix(), LEFT_OUT, str(problem))

    found = list(zip(samples, each(one, samples, "reading labels")))
    return (
        [sample for sample, seen in found if isinstance(seen, Seen)],
        [seen for _, seen in found if isinstance(seen, Seen)],
        [problem for _, problem in found if isinstance(problem, Record)],
    )
