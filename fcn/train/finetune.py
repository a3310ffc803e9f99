"""Going on with a net for other classes: everything is kept but what scores the old ones."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import nets
import surgery
from voc_layers.facts import VOC_CLASSES

from ..job import Job
from ..protocols import NetLike
from ..runs import Run
from ..weights import caffemodel, loading

log = logging.getLogger("fcn")


@dataclass(frozen=True)
class _Blob:
    data: np.ndarray


@dataclass(frozen=True)
class _Stored:
    """The parameters in a file, as a net has them."""

    params: Mapping[str, Sequence[_Blob]]


def enlarges(layer: str) -> bool:
    """Whether a layer, by its name, interpolates scores."""
    return "up" in layer


def scores(layer: str) -> bool:
    """Whether a layer, by its name, gives each class a score."""
    return "score" in layer and not enlarges(layer)


def from_other_classes(job: Job, keep: Sequence[str] = ()) -> Job:
    """The job as one whose weights are for other classes.

    Args:
        keep: classes that keep their scores; NEW=OLD where they have another name there.

    Raises:
        ValueError: a name that one of the two does not have.
    """
    kept = {new.strip(): (old or new).strip() for new, _, old in (name.partition("=") for name in keep)}
    known = _old_names(job.weights[0])
    if kept and known is None:
        raise ValueError(
            f"--keep-classes: nothing says which classes {job.weights[0]} has: it lies in no run, and has "
            "other than PASCAL VOC's 21"
        )
    for names, of, what in (
        (kept, job.class_names, "the data"),
        (kept.values(), known or (), f"{job.weights[0]}"),
    ):
        if wrong := [name for name in names if name not in of]:
            raise ValueError(
                f"--keep-classes: '{wrong[0]}' is none of the classes of {what}: {', '.join(of)}"
            )
    return replace(job, kept=kept)


def fill(net: NetLike, job: Job, weights: Path) -> list[str]:
    """Copy all layers that do not depend on the classes, and the scores of those that are kept.

    The other scores start at zero, as in any new net; where classes are the same in the same order, all of
    them are kept. Returns the names of the layers that received nothing.

    Raises:
        ValueError: weights of another width or another net.
    """
    stored = _Stored({name: [_Blob(a) for a in blobs] for name, blobs in caffemodel.arrays(weights).items()})
    fresh = [name for name in net.params if scores(name) or enlarges(name)]
    found = caffemodel.shapes(weights)
    caffemodel.check_fit(weights, net.params, {n: shapes for n, shapes in found.items() if n not in fresh})
    missing = [name for name in net.params if name not in fresh and not found.get(name)]
    loading.check_filled(net, missing, weights, found)
    classes = _mapping(job, weights)
    for name in stored.params.keys() & net.params.keys():
        if name not in fresh:
            for blob, old in zip(net.params[name], stored.params[name]):
                blob.data[...] = old.data.reshape(blob.data.shape)
        elif scores(name):
            surgery.map_score(net, name, stored, name, classes)
    loading.check_finite(net, weights)
    log.info(
        "%s: kept from %s: %s",
        job.model,
        weights,
        ", ".join(n for n in net.params if n not in (*fresh, *missing)),
    )
    log.info(
        "%s: new, for %d classes: %s; scores kept of %s",
        job.model,
        len(job.class_names),
        ", ".join(filter(scores, fresh)),
        ", ".join(job.class_names[k] for k in classes) or "none",
    )
    return missing


def default_models(weights: Path) -> list[str]:
    """The model whose run the weights lie in.

    Raises:
        ValueError: they lie in none.
    """
    job = job_before(weights)
    if job is None:
        trained = ", ".join(name for name, row in nets.MODELS.items() if row.stride)
        raise ValueError(f"--from {weights}: it lies in no run, so name the model to train: one of {trained}")
    return [job.model]


def job_before(weights: Path) -> Job | None:
    """What the run was to do that the weights lie in; None if they lie in none."""
    run = Run(weights) if weights.is_dir() else Run.holding(weights)
    return run.job() if run else None


def _old_names(weights: Path) -> tuple[str, ...] | None:
    """The classes of the net that the weights were trained in, if that can be known."""
    job = job_before(weights)
    if job is not None:
        return job.class_names
    scores = caffemodel.shapes(weights).get("score_fr") if weights.is_file() else None
    return VOC_CLASSES if scores and scores[0][0] == len(VOC_CLASSES) else None


def _mapping(job: Job, weights: Path) -> dict[int, int]:
    """Class of the job -> the class of the weights whose scores it keeps."""
    old = _old_names(weights) or ()
    if old == job.class_names:
        return {k: k for k in range(len(old))}
    return {job.class_names.index(new): old.index(name) for new, name in (job.kept or {}).items()}
