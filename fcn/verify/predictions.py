"""Whether the net tells anything apart: what it says of some images."""

from __future__ import annotations

import numpy as np

from voc_layers.folder import Split
from voc_layers.reading import SampleError

from ..predictor import Predictor
from ..tables import percent
from ..waiting import progress
from .finding import Finding

PREDICTIONS = "predictions"


def predictions(net: Predictor, split: Split | None, count: int) -> Finding:
    """Not one class everywhere, on the first `count` images of a list whose labels have several."""
    if split is None or not split.ids:
        return Finding.unknown(PREDICTIONS, "no list of images to score on")
    names = split.ids[:count]
    classes = len(split.folder.classes)
    said, true = np.zeros(classes, np.int64), np.zeros(classes, np.int64)
    try:
        for name in progress(names, "predicting"):
            pictures, label = split.folder.pictures(name), split.folder.label(name)
            said += np.bincount(net.labels(*pictures).ravel(), minlength=classes)
            true += np.bincount(label.ravel(), minlength=256)[:classes]
    except SampleError as error:
        return Finding.unknown(PREDICTIONS, str(error))
    return _judge(split, len(names), said, true)


def _judge(split: Split, images: int, said: np.ndarray, true: np.ndarray) -> Finding:
    first, share = split.folder.classes[int(said.argmax())], float(said.max() / said.sum())
    found, there = int((said > 0).sum()), int((true > 0).sum())
    evidence = (
        f"{images} images of {split.name}: {found} classes predicted, {there} in the labels; "
        f"'{first}' at {percent(share)} % of the pixels"
    )
    if found > 1:
        return Finding.passed(PREDICTIONS, evidence)
    if there < 2:
        return Finding.unknown(PREDICTIONS, f"{evidence}; as it should be here: look at more (--images)")
    how = "the net says one class everywhere: mend what failed above; if nothing did, train longer"
    return Finding.failed(PREDICTIONS, evidence, how)
