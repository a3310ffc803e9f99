"""Recipes fitted to other data than those they are published for: one rule, for own images and the demo.

The published recipes are for the 8498 images of SBD's training list, of at most 500 x 500 pixels, and for the
full widths of VGG16.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace

from .recipes import RECIPES, Recipe

#: What the published recipes were made for: images to train on, and pixels of one.
IMAGES, PIXELS = 8498, 500 * 500
#: The highest rate of Adam that narrow trunks are given.
MAX_ADAM_RATE = 1e-3
#: How many steps a scoring of one image may stand for: scoring takes no more than about a sixth of the time.
STEPS_PER_SCORED = 2
#: Steps between two snapshots, at least: a short run writes few of them.
BETWEEN_SNAPSHOTS = 100


@dataclass(frozen=True)
class Load:
    """What a net is trained on.

    Attributes:
        images: to train on.
        pixels: of one of them, as the net reads it.
        scored: images to score on.
        batch: images of a batch.
        width: what the widths of the trunk are multiplied by.
    """

    images: int
    pixels: float = PIXELS
    scored: int = 0
    batch: int = 1
    width: float = 1.0


def fitted(recipe: Recipe, load: Load, steps: int | None = None) -> Recipe:
    """The recipe for other data.

    - Steps follow the square root of the number of images, and are never more than published: a set of a
      hundredth the size gets a tenth of the steps, in which each image is seen ten times as often.
    - The rate of SGD on a summed loss is for PIXELS; it goes up as images get smaller. That of a mean loss,
      and Adam's, do not depend on how many pixels there are. Adam's goes up as trunks get narrower.
    - A net that refines a coarser one at a lower rate gets a higher one by as much as it gets fewer steps:
      the two together say how far it can go. It is never given the rate of the first.
    - It is saved and scored as often as published, but at intervals of BETWEEN_SNAPSHOTS steps, and of
      STEPS_PER_SCORED for each image to score on, at least.

    Args:
        steps: instead of the number that follows from the data.
    """
    own = recipe.max_iter * min(1.0, math.sqrt(load.images / IMAGES)) / load.batch
    wanted = max(1, round(own)) if steps is None else steps
    every = round(wanted * recipe.snapshot / recipe.max_iter)
    every = min(wanted, max(every, STEPS_PER_SCORED * load.scored, BETWEEN_SNAPSHOTS))
    return replace(
        recipe,
        base_lr=_rate(recipe, load, recipe.max_iter / max(1, own)),
        max_iter=wanted,
        snapshot=every,
        test_every=every,
        test_iter=load.scored or recipe.test_iter,
    )


def _rate(recipe: Recipe, load: Load, fewer: float) -> float:
    """The rate of a recipe that is given `fewer` times fewer steps."""
    if recipe.type == "Adam":
        return max(recipe.base_lr, min(recipe.base_lr / load.width, MAX_ADAM_RATE))
    first = RECIPES[re.sub(r"-fcn(16|8)s$", "-fcn32s", recipe.model)][recipe.kind].base_lr
    refines = recipe.base_lr <= first / 10
    rate = min(recipe.base_lr * fewer, first / 10) if refines else recipe.base_lr
    return rate if recipe.normalize else rate * PIXELS / load.pixels
