"""Which recipe suits: the published one for PASCAL VOC, one fitted to them for one's own images."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nets
import solvers
from solvers.fitting import PIXELS
from voc_layers.augment import Augmentation
from voc_layers.folder import VocFolder

from ..data import TrainingData
from . import finetune

log = logging.getLogger("fcn")


def suited_kind(width: float, start: Path | None) -> str | None:
    """The kind of recipe for one's own images; None: the one that each model was published with.

    What a run was trained by suits what goes on from it. For a narrow trunk there are no ImageNet weights,
    and what knows little learns by `light`.

    Args:
        start: a net for other classes that is gone on from.
    """
    before = finetune.job_before(start) if start else None
    return before.recipe.kind if before else "light" if width < 1 else None


def suited_trunk(width: float | None, start: Path | None) -> tuple[float, nets.Trunk | None]:
    """The width to train in, and the trunk where it is none of the models' own: the run's, unless given.

    Args:
        width: what was asked for, or None.
        start: as in `suited_kind`.
    """
    before = finetune.job_before(start) if start and width is None else None
    return (before.width, before.trunk) if before else (1.0 if width is None else width, None)


def load_of(data: TrainingData, width: float, reading: Mapping[str, Any]) -> solvers.Load | None:
    """What recipes are fitted to; None for the data that they were published for.

    Args:
        reading: see `TrainingData.layers`.
    """
    if not isinstance(data.train.folder, VocFolder) or not data.train.ids:
        return None
    pixels = Augmentation.of(reading, "fcn train").pixels(data.pixels() or PIXELS)
    return solvers.Load(len(data.train.ids), pixels, len(data.val.ids), reading.get("batch", 1), width)


def announce(rows: Sequence[solvers.Recipe], load: solvers.Load) -> None:
    """Log what was made of the recipes."""
    log.info(
        "recipe %s, fitted to %d images of %s pixels (docs/training.md says how):",
        rows[0].kind,
        load.images,
        f"{load.pixels:,.0f}",
    )
    for row in rows:
        images = row.iter_size * load.batch
        log.info(
            "  %-16s %s, rate %.3g, %d steps of %d image%s, saved every %d, %s",
            row.model,
            row.type,
            row.base_lr,
            row.max_iter,
            images,
            "" if images == 1 else "s",
            row.snapshot,
            f"scored every {row.test_every}" if row.test_every else "not scored",
        )
