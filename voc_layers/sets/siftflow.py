"""SIFT Flow: outdoor scenes of 256 x 256 with two labelings, 33 semantic classes and 3 geometric ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ..facts import SIFTFLOW_CLASSES, SIFTFLOW_GEOMETRY, SIFTFLOW_MEAN, SIFTFLOW_UNSEEN
from ..files import MAT_SUFFIXES, Files
from ..folder import Folder
from ..reading import check_sizes, count_from_zero, read_label_mat

SCENES = "spatial_envelope_256x256_static_8outdoorcategories"


@dataclass(frozen=True)
class SiftFlowFolder(Folder):
    """The layout of the data set's archive, with the semantic labels."""

    classes: tuple[str, ...] = SIFTFLOW_CLASSES
    mean: tuple[float, ...] = SIFTFLOW_MEAN

    layer, module, key = "SIFTFlowSegDataLayer", "siftflow_layers", "siftflow_dir"
    images, labels, lists = f"Images/{SCENES}", f"SemanticLabels/{SCENES}", "."
    label_suffixes, label_help = MAT_SUFFIXES, "S: 1 .. 33, 0 = void"
    unseen: ClassVar[tuple[str, ...]] = SIFTFLOW_UNSEEN

    @property
    def geometric(self) -> GeometricFolder:
        """The same images with the geometric labels."""
        classes = SIFTFLOW_GEOMETRY if self.classes else ()
        return GeometricFolder(self.root, classes, self.mean, self.void)

    def labeled(self, name: str) -> Folder:
        return self.geometric if name == "geo" else self

    @property
    def default_split(self) -> str:
        return "test"

    def parts(self) -> tuple[Files, ...]:
        images, labels = super().parts()
        return images, Files(self.root / GeometricFolder.labels, MAT_SUFFIXES), labels

    def arrays(self, name: str) -> tuple[np.ndarray, ...]:
        return (*super().arrays(name), self._geometry(name))

    def peek(self, name: str) -> tuple[np.ndarray, tuple[int, ...]]:
        self._geometry(name)
        return super().peek(name)

    def _geometry(self, name: str) -> np.ndarray:
        """The geometric labels; SampleError where their size is not that of the semantic ones."""
        geometric, path = self.geometric, self.label_path(name)
        label = geometric.label(name)
        check_sizes(self.label(name), label, path, geometric.label_path(name))
        return label

    def read_label(self, path: Path) -> tuple[np.ndarray, tuple[int, ...]]:
        return count_from_zero(read_label_mat(path, "S", None), path, len(self.classes) or None), ()

    def params(self, split: str, seed: int | None) -> dict[str, Any]:
        own = super().params(split, seed)
        del own["mean"]  # the layer knows it
        return own


class GeometricFolder(SiftFlowFolder):
    """The same images, with the geometric labels."""

    labels = f"GeoLabels/{SCENES}"
    label_help = "S: 1 .. 3, -1 = void"
    unseen: ClassVar[tuple[str, ...]] = ()

    def parts(self) -> tuple[Files, ...]:
        return Folder.parts(self)

    def peek(self, name: str) -> tuple[np.ndarray, tuple[int, ...]]:
        return Folder.peek(self, name)

    def read_label(self, path: Path) -> tuple[np.ndarray, tuple[int, ...]]:
        label = read_label_mat(path, "S", None)
        return count_from_zero(label, path, len(self.classes) or None, void=(-1, 0)), ()
