"""NYUDv2: colour, depth and HHA of indoor scenes, with labels of 40 classes (Gupta et al., CVPR 2013)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..facts import NYUD_CLASSES, NYUD_COLOR_MEAN, NYUD_HHA_MEAN, NYUD_LOG_DEPTH_MEAN, VOID
from ..files import IMAGE_SUFFIXES, LABEL_SUFFIXES, MAT_SUFFIXES, Files
from ..folder import Folder
from ..inputs import Color, Hha, Input, LogDepth
from ..reading import count_from_zero, read_label_mat

#: view -> how a net reads it, the folder under `data` that it lies in, and the suffixes of its files.
VIEWS: Mapping[str, tuple[Input, str, Sequence[str]]] = {
    "color": (Color("color", NYUD_COLOR_MEAN), "images", IMAGE_SUFFIXES),
    "depth": (LogDepth("depth", NYUD_LOG_DEPTH_MEAN), "depth", LABEL_SUFFIXES),
    "hha": (Hha("hha", NYUD_HHA_MEAN), "hha", IMAGE_SUFFIXES),
}


@dataclass(frozen=True)
class NyudFolder(Folder):
    """The layout of the reference release's data. views: what of a scene a net looks at, of `VIEWS`."""

    classes: tuple[str, ...] = NYUD_CLASSES
    mean: tuple[float, ...] = NYUD_COLOR_MEAN
    views: tuple[str, ...] = ("color",)

    layer, module, key = "NYUDSegDataLayer", "nyud_layers", "nyud_dir"
    images, labels, lists = "data", "segmentation", "."
    label_suffixes, label_help = MAT_SUFFIXES, "segmentation: 1 .. 40, 0 = void"

    @classmethod
    def of(cls, params: Mapping[str, Any], classes: tuple[str, ...]) -> NyudFolder:
        views = tuple(top for top in params["tops"] if top != "label")
        return cls(Path(params[cls.key]), classes, void=int(params.get("void", VOID)), views=views)

    @property
    def inputs(self) -> tuple[Input, ...]:
        return tuple(VIEWS[view][0] for view in self.views)

    @property
    def default_split(self) -> str:
        return "test"

    def parts(self) -> tuple[Files, ...]:
        places = [(Path("data", VIEWS[view][1]), VIEWS[view][2]) for view in self.views]
        places.append((Path(self.labels), self.label_suffixes))
        return tuple(Files(self.root / path, suffixes, prefix="img_") for path, suffixes in places)

    def companions(self, image: Path) -> tuple[Path, ...]:
        """Of images/NAME.png the files depth/NAME.png and hha/NAME.png that the net looks at too."""
        home = image.parent.parent
        others = ((home / VIEWS[view][1], VIEWS[view][2]) for view in self.views[1:])
        return (image, *(Files(folder, suffixes).find(image.stem) for folder, suffixes in others))

    def read_label(self, path: Path) -> tuple[np.ndarray, tuple[int, ...]]:
        label = read_label_mat(path, "segmentation", None)
        return count_from_zero(label, path, len(self.classes) or None), ()

    def params(self, split: str, seed: int | None) -> dict[str, Any]:
        own = super().params(split, seed)
        del own["mean"]  # the layer knows it
        return {**own, "tops": [*self.views, "label"]}
