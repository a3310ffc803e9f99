"""Whether the rate fits the stage and the kind of loss: 16s at 32s's rate, a summed loss at a mean's rate."""

from __future__ import annotations

import nets
import solvers

from ..job import Job
from .finding import Finding
from .subject import Subject

RATE, LOSS = "stage's rate", "loss and rate"

#: Pixels of an image that the published rates were made for.
PUBLISHED_PIXELS = 500 * 375
#: How many times as far as the published one a step may go, or how many times less; a rate of the other kind
#: of loss is 1e6 away per pixel, less what small images have fewer pixels.
FAR = 1000.0
#: By how much a ratio between stages may differ from the published one of 1/100.
STAGE_FAR = 10.0


def stage_rate(subject: Subject) -> Finding:
    """The rate beside that of the stage before, where its run says so, else beside the published ones."""
    job, before = subject.job, subject.before
    own = _published(job)
    if own is None:
        return Finding.unknown(RATE, f"{job.recipe.type}, {_kind(job)}: no published rate to compare with")
    how = f"--base-lr {own.base_lr:g}, the recipe's own for {job.model}"
    if job.recipe.base_lr == 0:
        return Finding.failed(RATE, "base_lr 0: nothing learns", how)
    parent = _published(before) if before else None
    if before and parent and parent.normalize == own.normalize:
        return _beside(job, before, own.base_lr / parent.base_lr)
    for row in _rows(job.recipe.normalize):
        if row.base_lr == job.recipe.base_lr and row.model != job.model and row.base_lr != own.base_lr:
            said = f"base_lr {job.recipe.base_lr:g} is that of {row.model}; {job.model}'s is {own.base_lr:g}"
            return Finding.failed(RATE, said, how)
    said = f"base_lr {job.recipe.base_lr:g}; published for {job.model}: {own.base_lr:g}"
    if 1 / STAGE_FAR < job.recipe.base_lr / own.base_lr < STAGE_FAR:
        return Finding.passed(RATE, said)
    return Finding.unknown(RATE, f"{said}, and no run says what the stage before had")


def _beside(job: Job, before: Job, wanted: float) -> Finding:
    """A stage's rate beside that of the run that it started from. wanted: the published ratio."""
    rate, first = job.recipe.base_lr, before.recipe.base_lr
    said = f"base_lr {rate:g}, {before.model} had {first:g}; published ratio {wanted:g}"
    if first == 0:
        return Finding.unknown(RATE, f"{said}: {before.model} was trained at rate 0")
    if 1 / STAGE_FAR < rate / first / wanted < STAGE_FAR:
        return Finding.passed(RATE, said)
    how = f"train {job.model} again at --base-lr {first * wanted:g}; at 32s's rate a 16s fell from 57 to 47"
    return Finding.failed(RATE, said, how)


def loss_and_rate(subject: Subject) -> Finding:
    """How far a step goes with this rate, momentum and kind of loss, beside the published recipe."""
    job, own = subject.job, _published(subject.job)
    if own is None:
        return Finding.unknown(LOSS, f"{job.recipe.type}, {_kind(job)}: no published rate to compare with")
    if not job.recipe.normalize and subject.pixels is None:
        return Finding.unknown(LOSS, "the loss is summed over the pixels, and the images are not there")
    reach = _reach(job.recipe, subject.pixels or PUBLISHED_PIXELS)
    ratio = reach / _reach(own, PUBLISHED_PIXELS)
    said = (
        f"{_kind(job)}, rate {job.recipe.base_lr:g}, momentum {job.recipe.momentum:g}: a step goes "
        f"{ratio:.2g} times as far as the published {own.base_lr:g} for images of {PUBLISHED_PIXELS} pixels"
    )
    if 1 / FAR < ratio < FAR:
        return Finding.passed(LOSS, said)
    other = "the mean" if ratio > 1 else "the summed"
    how = (
        f"a rate for {other} loss? --base-lr {own.base_lr:g} for {_kind(job)}, or --recipe "
        f"{'accum' if ratio > 1 else 'heavy'} for the other"
    )
    return Finding.failed(LOSS, said, how)


def _reach(recipe: solvers.Recipe, pixels: float) -> float:
    """How far a weight goes: as the rate would be for the mean loss without momentum."""
    return recipe.base_lr / max(1 - recipe.momentum, 1e-6) * (1 if recipe.normalize else pixels)


def _kind(job: Job) -> str:
    return "a classifier" if job.is_classifier else f"{'mean' if job.recipe.normalize else 'summed'} loss"


def _rows(normalize: bool) -> list[solvers.Recipe]:
    rows = [row for kinds in solvers.RECIPES.values() for row in kinds.values()]
    return [row for row in rows if row.normalize == normalize and nets.get(row.model).parents]


def _published(job: Job) -> solvers.Recipe | None:
    """The published recipe of the model for the job's kind of loss; None for another optimiser."""
    if job.recipe.type != "SGD":
        return None
    return next((row for row in _rows(job.recipe.normalize) if row.model == job.model), None)
