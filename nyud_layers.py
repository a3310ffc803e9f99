"""The data layer of NYUDv2, under the names of the reference release: `module: 'nyud_layers'`."""

from __future__ import annotations

from typing import Any

from voc_layers.base import SegDataLayer
from voc_layers.cache import Sample
from voc_layers.reading import SampleError
from voc_layers.sets.nyud import VIEWS, NyudFolder


class NYUDSegDataLayer(SegDataLayer):
    """Scenes of NYUDv2, one at a time; `param_str` says which tops there are.

    Tops: color 1 x 3 x H x W (BGR), hha 1 x 3 x H x W, depth 1 x 1 x H x W (its logarithm), the mean of each
    subtracted; label 1 x 1 x H x W, classes 0 .. 39 and 255 for void, which the files count from 1.
    param_str: `nyud_dir`, `split` (`trainval` is train and val), `tops`, of color, depth, hha and label, in
    any order; and what is optional in every `SegDataLayer`.
    """

    layout = NyudFolder
    required = frozenset({NyudFolder.key, "split", "tops"})

    def top_names(self, params: dict[str, Any]) -> tuple[str, ...]:
        names, known = tuple(params["tops"]), (*VIEWS, "label")
        if len(set(names)) < len(names) or not set(names) <= set(known) or not set(names) & VIEWS.keys():
            raise SampleError(
                f"{type(self).__name__}: tops must be some of {', '.join(known)}, each once, and not "
                f"label alone; found {params['tops']!r}"
            )
        self.names = names
        return names

    def read(self, index: int) -> Sample:
        read = self.folder.arrays if "label" in self.names else self.folder.pictures
        return read(self.indices[index])

    def collate(self, items: list[Sample]) -> Sample:
        views = [name for name in self.names if name != "label"]
        blobs = dict(zip((*views, "label"), super().collate(items)))
        return tuple(blobs[name] for name in self.names)


__all__ = ["NYUDSegDataLayer"]
