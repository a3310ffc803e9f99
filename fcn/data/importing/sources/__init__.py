"""The forms in which people keep images with labels, one module for each."""

from __future__ import annotations

from collections.abc import Callable

from voc_layers.reading import SampleError

from ..options import Options
from ..sample import Source
from ..tree import Tree
from . import coco, folders, labelme, lists, streets

#: form -> what reads it, in the order in which they are tried: what is told by more comes first.
FORMS: dict[str, Callable[[Tree, Options], Source | None]] = {
    "cityscapes": streets.cityscapes,
    "coco": coco.find,
    "labelme": labelme.find,
    "lists": lists.find,
    "camvid": streets.camvid,
    "folders": folders.find,
}

_KNOWN = """\
known forms:
  images/ and masks/ (labels/, annotations/), with train/ and val/ above or below them; JPEGImages/ and
  SegmentationClass/; x.jpg with x_mask.png, x_label.png or x.png beside it; labels as PNG, BMP, TIFF, .npy,
  .mat
  train.txt and val.txt with an image and a label on each line
  LabelMe's JSON files; COCO's annotations (.json) with images/; Cityscapes; CamVid"""


def find_source(tree: Tree, options: Options) -> Source:
    """Read a folder in the form that it has, or in the one that is asked for.

    Raises:
        SampleError: no form fits; which there are.
    """
    tried = [options.form] if options.form else list(FORMS)
    for form in tried:
        source = FORMS[form](tree, options)
        if source is not None:
            return source
    what = f"the form '{options.form}'" if options.form else "images with labels in a known form"
    raise SampleError(f"{tree.root}: expected {what}, found {len(tree.files)} files in none\n{_KNOWN}")
