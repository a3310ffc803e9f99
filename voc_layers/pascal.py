"""PASCAL VOC and SBD segmentation, with the class names and keys of the reference release's voc_layers.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from voc_layers.base import SegDataLayer
from voc_layers.reading import ClassList, find_image, read_classes, read_label_mat, read_label_png, read_split


class VOCSegDataLayer(SegDataLayer):
    """VOC layout: `voc_dir`/JPEGImages, SegmentationClass (PNG), ImageSets/Segmentation/`split`.txt."""

    required = SegDataLayer.required | {"voc_dir"}

    def list_ids(self, params: dict[str, Any]) -> list[str]:
        self.voc_dir = Path(params["voc_dir"])
        return read_split(self.voc_dir / "ImageSets/Segmentation" / f"{params['split']}.txt")

    def class_list(self, params: dict[str, Any]) -> ClassList | None:
        own = self.voc_dir / "classes.txt"
        if "classes" not in params and own.is_file():
            return read_classes(own)
        return super().class_list(params)

    def paths(self, name: str) -> tuple[Path, Path]:
        label = self.voc_dir / "SegmentationClass" / f"{name}.png"
        return find_image(self.voc_dir / "JPEGImages", name), label

    def read_label(self, path: Path) -> np.ndarray:
        return read_label_png(path)


class SBDDSegDataLayer(SegDataLayer):
    """The Semantic Boundaries Dataset: `sbdd_dir`/img, cls (.mat with GTcls.Segmentation), `split`.txt."""

    required = SegDataLayer.required | {"sbdd_dir"}

    def list_ids(self, params: dict[str, Any]) -> list[str]:
        self.sbdd_dir = Path(params["sbdd_dir"])
        return read_split(self.sbdd_dir / f"{params['split']}.txt")

    def paths(self, name: str) -> tuple[Path, Path]:
        return find_image(self.sbdd_dir / "img", name), self.sbdd_dir / "cls" / f"{name}.mat"

    def read_label(self, path: Path) -> np.ndarray:
        return read_label_mat(path)
