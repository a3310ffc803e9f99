"""The data layer of PASCAL-Context, by the release's names: `module: 'pascalcontext_layers'`."""

from __future__ import annotations

from voc_layers.base import SegDataLayer
from voc_layers.sets.pascalcontext import ContextFolder


class PASCALContextSegDataLayer(SegDataLayer):
    """Images of VOC 2010 with labels of 59 classes and background (0).

    Tops: data 1 x 3 x H x W (BGR, mean subtracted) and label 1 x 1 x H x W.
    param_str: `voc_dir` (VOC 2010, or the folder that it is in), `context_dir` (with labels.txt,
    59_labels.txt and trainval/), `split` (of VOC's ImageSets/Main); and what is optional in every
    `SegDataLayer`.
    """

    layout = ContextFolder
    required = frozenset({ContextFolder.key, "context_dir", "split"})


__all__ = ["PASCALContextSegDataLayer"]
