"""How many images a step averages over, and what that means for the recipe."""

from __future__ import annotations

import logging
from typing import Any

from ..job import Job

log = logging.getLogger("fcn")


def images_a_step(job: Job, processes: int) -> int:
    """The effective batch: images whose gradients a step averages."""
    batch: int = job.layers["train"].params.get("batch", 1)
    return processes * job.recipe.iter_size * batch


def announce_batch(job: Job, processes: int, before: dict[str, Any]) -> None:
    """Log the effective batch of a stage in several processes, or of one that had another one before.

    Args:
        before: the run's last entry of `launches`, if it goes on.
    """
    images, earlier = images_a_step(job, processes), before.get("images_a_step")
    if processes > 1:
        alone = images // processes
        log.info(
            "%s: %d processes x iter_size %d x batch %d: a step averages the gradients of %d images, as "
            "iter_size %d would in one process",
            job.model, processes, job.recipe.iter_size, alone // job.recipe.iter_size, images,
            processes * job.recipe.iter_size,
        )  # fmt: skip
        log.info(
            "  what that means for recipe %s, with %d image%s a step in one process: %d steps see %d times "
            "as many images (--iters %d: as many as before); the rate stays %.3g, as a mean gradient is less "
            "noisy and not larger; momentum %g averages over about %d steps, now %d images",
            job.recipe.kind, alone, "s" if alone > 1 else "", job.recipe.max_iter, processes,
            max(1, job.recipe.max_iter // processes), job.recipe.base_lr, job.recipe.momentum,
            round(1 / max(1e-6, 1 - job.recipe.momentum)), round(images / max(1e-6, 1 - job.recipe.momentum)),
        )  # fmt: skip
    if earlier not in (None, images):
        log.warning(
            "%s: a step averaged the gradients of %s images before, now of %d: the training goes on with the "
            "next image, and as another one; --iter-size changes how many a process adds up",
            job.model, earlier, images,
        )  # fmt: skip
