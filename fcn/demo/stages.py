"""The four stages of the demo: a classifier, FCN-32s, FCN-16s, FCN-8s.

The nets, the surgery, the training loop and the scores are those of the real data sets; only the widths, the
step counts and the rates differ.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import nets
import solvers

from ..data import TrainingData
from ..job import Job
from ..runs import Run
from ..train import train as train_stage
from ..weights import save_random
from .scenes import CROP, SIDES

log = logging.getLogger("fcn")

CLASSIFIER = "vgg16"
#: model -> what the stage is.
STAGES = {
    CLASSIFIER: "1. a VGG-style classifier on image labels",
    "voc-fcn32s": "2. its fc layers become convolutions: FCN-32s",
    "voc-fcn16s": "3. FCN-16s, from FCN-32s, with a skip from pool4",
    "voc-fcn8s": "4. FCN-8s, from FCN-16s, with a skip from pool3",
}
#: Of ARCH beside VGG16 where it is narrowest, 64 channels of 512.
WIDTH = 0.125
ARCH = nets.VGG(stages=((16,), (32,), (48,), (64,), (128,)), fc=512, fc_kernel=4, dropout=0.1, overhang=3)
# He's filler keeps the size of what passes; colours come in at about 60 and should leave fc7 near 1.
# Scores start at zero: large and wrong ones would move all weights one way for the first hundred steps.
GAIN = (0.6, 0.0)
#: Images of a batch of the classifier, and how many batches of how many images it is scored on.
BATCH, VAL_BATCHES, VAL_BATCH = 16, 8, 50
#: Scenes of a batch of the FCNs, and (H, W) of the piece that is taken of each: a step on pieces of one size
#: takes two thirds of the time of one on whole scenes.
SCENES, PIECE = 8, (112, 112)
#: MiB of memory for a stage's decoded images: all of them.
CACHE = 256


@dataclass(frozen=True)
class Setting:
    """How much of everything.

    Attributes:
        train, val, crops: scenes to train and to score on, and single objects for the classifier.
        steps: of each stage.
        step, lead: points of mean IU that each finer stride gains at least, and FCN-8s over the baselines.
    """

    train: int
    val: int
    crops: int
    steps: tuple[int, int, int, int]
    step: float = 2
    lead: float = 15


FULL = Setting(train=2000, val=100, crops=5000, steps=(900, 1500, 300, 400))
QUICK = Setting(train=400, val=40, crops=2400, steps=(600, 200, 80, 120), step=1, lead=5)


def recipe(model: str, setting: Setting) -> solvers.Recipe:
    """The stage's recipe: `light`, fitted to the scenes, in the steps that the setting gives it.

    The rate falls linearly to zero: few steps gain most where the last of them are small. A classifier has
    no recipe of its own: it is given the light one, and a mean loss, as by Caffe's default.
    """
    steps = dict(zip(STAGES, setting.steps))[model]
    first = model == CLASSIFIER
    load = solvers.Load(setting.train, SIDES[0] * SIDES[1], setting.val, SCENES, WIDTH)
    if first:
        load = solvers.Load(setting.crops, CROP**2, VAL_BATCHES, BATCH, WIDTH)
    row = replace(
        solvers.fitted(solvers.recipe(next(iter(nets.CHAIN)) if first else model, "light"), load, steps),
        model=model,
        goal=STAGES[model],
        expected="a higher mean IU with each finer stride",
        source="fcn.demo",
        display=50,
        average_loss=50,
        lr_policy="poly",
        power=1.0,
    )
    return replace(row, normalize=True) if first else row


def classifier_layers(folder: Path, mean: Sequence[float], seed: int) -> dict[str, nets.PythonData]:
    """The classifier's data layers: single objects with an image label."""
    lists = folder / "Classification"
    common = {"root": str(folder), "size": CROP, "mean": tuple(mean), "seed": seed, "cache": CACHE}
    val = {**common, "source": str(lists / "val.txt"), "batch": VAL_BATCH, "randomize": False}
    return {
        "train": nets.PythonData(
            "ImageLabelLayer", {**common, "source": str(lists / "train.txt"), "batch": BATCH}
        ),
        "val": nets.PythonData("ImageLabelLayer", val),
    }


def train(
    folder: Path, root: Path, setting: Setting, seed: int, precision: str = "float32"
) -> dict[str, Path]:
    """The four stages on the data in `folder`; returns each one's weights."""
    data = TrainingData.own(folder)
    names = data.classes
    weights = root / "start.caffemodel"
    save_random(CLASSIFIER, weights, seed=seed, arch=ARCH, classes=len(names), gain=GAIN)
    found: dict[str, Path] = {}
    for model, title in STAGES.items():
        log.info("-- %s", title)
        first = model == CLASSIFIER
        scenes = {"batch": SCENES, "crop": PIECE, "cache": CACHE}
        layers = classifier_layers(folder, data.val.folder.mean, seed) if first else data.layers(seed, scenes)
        job = Job(model, recipe(model, setting), layers, names, trunk=ARCH, weights=(weights,), seed=seed)
        weights = found[model] = train_stage(replace(job, precision=precision), Run(root / model))
    return found
