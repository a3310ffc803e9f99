"""PASCAL VOC and SBD segmentation, with the class names and keys of the reference release's voc_layers.py."""

from __future__ import annotations

from .base import SegDataLayer
from .folder import SbdFolder, VocFolder


class VOCSegDataLayer(SegDataLayer):
    """VOC layout: `voc_dir`/JPEGImages, SegmentationClass (PNG), ImageSets/Segmentation/`split`.txt."""

    layout = VocFolder
    required = SegDataLayer.required | {VocFolder.key}


class SBDDSegDataLayer(SegDataLayer):
    """The Semantic Boundaries Dataset: `sbdd_dir`/img, cls (.mat with GTcls.Segmentation), `split`.txt."""

    layout = SbdFolder
    required = SegDataLayer.required | {SbdFolder.key}
