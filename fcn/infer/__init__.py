"""Using a trained net: images, videos and cameras in, label maps and pictures out.

`load` gives a `Model`, whose `predict` gives a `Prediction`; `fcn infer` asks a `Batch` of many files.
"""

from __future__ import annotations

from .batch import Batch
from .model import Model, load
from .prediction import Prediction
from .wishes import Done, Wishes

__all__ = ["Batch", "Done", "Model", "Prediction", "Wishes", "load"]
