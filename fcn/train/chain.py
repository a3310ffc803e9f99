"""The chain of stages: the jobs that make it up, and training them one after the other."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import solvers

from ..data import TrainingData, require
from ..data.names import check_names, names_in
from ..job import Job
from ..plotting import draw_run
from ..runs import STATES, Run
from ..verify import Inputs, check_inputs, settle
from ..weights.solverstate import SolverState
from . import timing
from .handover import Stage, find_weights, missing_weights, resume_state
from .session import PLAIN, Session
from .stage import train, unscored

log = logging.getLogger("fcn")


def recipes(
    models: Sequence[str],
    kind: str | None = None,
    base_lr: float | None = None,
    load: solvers.Load | None = None,
    **changes: Any,
) -> list[solvers.Recipe]:
    """The recipe of each model, changed. One that names no interval for snapshots takes them where it scores.

    Args:
        base_lr: the first model's rate; the others keep their ratio to it.
        load: the data that they are fitted to; None: they stay as they were published.
        changes: other fields; None means the recipe's own.

    Raises:
        ValueError: a model without such a recipe.
    """
    rows = [solvers.recipe(model, kind) for model in models]
    if load is not None:
        rows = [solvers.fitted(row, load, changes.get("max_iter")) for row in rows]
    factor = 1.0 if base_lr is None else base_lr / rows[0].base_lr
    changed = [row.changed(base_lr=row.base_lr * factor, **changes) for row in rows]
    if changes.get("snapshot") is not None:
        return changed
    return [replace(row, snapshot=row.snapshot or row.test_every) for row in changed]


def chain(
    rows: Sequence[solvers.Recipe],
    data: TrainingData,
    *,
    weights: Path | Sequence[Path] | None = None,
    width: float = 1.0,
    seed: int = 1337,
    reading: Mapping[str, Any] | None = None,
) -> list[Job]:
    """The jobs of stages with these recipes, scored on all images of `data.val` where they are scored.

    Args:
        weights: what the first starts from: a caffemodel, or the folder of a run, for each of its parents.
            The others, and the first without it, start from the newest snapshots of their parents' runs.
        width: what the widths of the models' trunks are multiplied by.
        seed: of the order of the images, dropout and fillers.
        reading: how images to train on are read, see `TrainingData.layers`.
    """
    jobs, layers = [], data.layers(seed, reading)
    given = (weights,) if isinstance(weights, Path) else tuple(weights or ())
    for i, row in enumerate(rows):
        count = len(data.val.ids) if row.test_every else 0
        row = replace(row, test_iter=count or row.test_iter)
        first = given if i == 0 else ()
        jobs.append(Job(row.model, row, layers, data.classes, width, weights=first, seed=seed))
    return jobs


def train_chain(
    stages: Sequence[Stage],
    data: TrainingData | None = None,
    resume: str | None = None,
    session: Session = PLAIN,
) -> list[Path]:
    """Train stages one after the other; returns their last weights.

    Args:
        data: what all of them are trained on, to be looked at before anything starts.
        resume: 'auto' goes on from each run's newest state and leaves out what is trained already; else a
            solverstate for the first stage.
        session: how this start of them behaves.

    Raises:
        MissingInputs, SampleError: before anything starts, with all files that are not there or not what they
            should be.
        Suspect: in a strict session, with the known causes of a low score that are there.
        ValueError, Diverged, Interrupted: see `resume_state` and `train`.
    """
    prints: dict[str, Any] = {}
    if session.team.root:
        prints = _look(stages, data, resume, session)
        timing.announce([job for job, run in stages if not run.newest(STATES)])
    made: list[Path] = []
    for i, (job, run) in enumerate(stages):
        state = resume_state(run, resume if i == 0 or resume == "auto" else None)
        done = session.team.root and state is not None and _is_done(job, run, state)
        if session.team.most([int(done)])[0] and state is not None:  # as the first process finds it
            made.append(SolverState.read(state).weights)
            log.info("%s: already trained, %s", job.model, made[-1])
            continue
        before = run.job() if state is not None else None
        start = before.weights if before else find_weights(job, run)
        for earlier in [before] if before else map(_job_of, start if job.kept is None else ()):
            _check_names(job, earlier)
        try:
            made.append(train(replace(job, weights=start), run, state, prints, session))
        finally:
            draw_run(run)
    return made


def _is_done(job: Job, run: Run, state: Path) -> bool:
    """Whether a stage is trained and scored."""
    last = SolverState.read(state).iteration
    return last >= job.recipe.max_iter and not unscored(job, run, last)


def _job_of(weights: Path) -> Job | None:
    """What the net was trained as whose weights a stage starts from, if a run says so."""
    run = Run.holding(weights)
    return run.job() if run else None


def _check_names(job: Job, before: Job | None) -> None:
    """See that what a stage goes on from has the same classes; a classifier's are its own."""
    if before is not None and not before.is_classifier:
        check_names(before.class_names, job.class_names, f"the data of {job.model}")


def _look(
    stages: Sequence[Stage], data: TrainingData | None, resume: str | None, session: Session
) -> dict[str, Any]:
    """Look at all that is needed before anything starts; returns the fingerprints of the data."""
    missing = missing_weights(stages, resume)
    scored = any(job.recipe.test_every for job, _ in stages)
    if data is None:
        return {}
    require(data, scored, missing)
    checks = data.check(scored)
    inputs = Inputs(data, checks[0], checks[1] if scored else None)
    settle(check_inputs(inputs), session.strict)
    return {form: split.fingerprint() for form, split in zip(("train", "val"), data.used(scored))}


def resume_run(folder: Path, session: Session = PLAIN, **changes: Any) -> list[Path]:
    """Go on with a run from its newest state, as the job that it is; returns its last weights.

    Args:
        session: how this start of it behaves.
        changes: other fields of its recipe; None means the recipe's own.

    Raises:
        ValueError: a folder that is no run. Else see `train_chain`.
    """
    run = Run(folder)
    job = run.job()
    if job is None:
        raise ValueError(f"{folder}: no run to go on with: it has no run.json")
    data = TrainingData.of(job)
    for split in (data.train, data.val) if data else ():
        check_names(job.class_names, names_in(split.folder), split.folder.root)
    recipe = job.recipe.changed(**changes)
    if data is not None and recipe.test_every:
        recipe = replace(recipe, test_iter=len(data.val.ids) or recipe.test_iter)
    return train_chain([(replace(job, recipe=recipe), run)], data, "auto", session)
