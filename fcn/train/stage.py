"""Training one stage, from prototxts to the last snapshot: the loop. Only pycaffe's public API."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import caffe
import solvers
import surgery
from voc_layers.reading import SampleError

from .. import score
from ..engine import multiplying
from ..job import Job
from ..lock import locked
from ..protocols import SolverLike
from ..runs import STATES, Run, command, launch
from ..tables import percent
from ..weights import loading
from ..weights.solverstate import SolverState
from . import findings, handover
from .journal import log_to
from .progress import Meter
from .stopping import Interrupted, check_update, diverged, stop_signals

log = logging.getLogger("fcn")


def train(
    job: Job, run: Run, resume: Path | None = None, fingerprints: Mapping[str, Any] | None = None
) -> Path:
    """Do `job` in the folder `run`, until its recipe's last step; returns the last weights.

    Args:
        job: what to train. Its weights are a file here; without them the net starts from its fillers.
        resume: a solverstate to go on from instead.
        fingerprints: what the data are, for `run.json`.

    Raises:
        ValueError: weights or a state that do not fit.
        RuntimeError: this caffe does not know the job's precision.
        Locked: another process is training in the folder.
        Diverged: the loss is no number; suspect snapshots are set aside.
        Interrupted: a signal came, and the snapshot has been taken.
    """
    recipe = job.recipe
    state = None if resume is None else SolverState.read(resume)
    with multiplying(job.precision), locked(run.make().path), log_to(run.log) as note:
        run.tidy()
        train_proto = write_prototxts(job, run, state.iteration if state else 0)
        solver: SolverLike = caffe.get_solver(str(run.solver))
        net = solver.net
        if state is not None:
            continue_from(state, job, run, solver)
        else:
            untouched = handover.fill(net, job, job.weights, run) if job.weights else []
            surgery.interp(net, [name for name in net.params if "up" in name])
            findings.warn(findings.findings(net, train_proto, untouched))
        run.record(job, launch(solver.iter, str(resume or job.weights), fingerprints or {}))
        run.rewind(solver.iter)
        note(f"Solving {job.model}")  # as solver.solve() says: log parsers count the seconds from this line

        meter = Meter(job, run, solver.iter, net.blobs["data"].data.shape[0])
        with stop_signals() as caught, snapshot_at_bad_data(run, solver):
            while solver.iter < recipe.max_iter and not caught:
                solver.step(1)
                loss = float(net.blobs["loss"].data)
                if not meter.update(solver.iter, loss, net.blobs["label"].data):
                    raise diverged(run, solver, loss)
                if recipe.scores_at(solver.iter) and not caught:
                    meter.pause(evaluate(job, run, solver, solver.iter))
        check_update(run, solver)
        if solver.iter not in run.snapshots(STATES):
            solver.snapshot()
        if caught:
            raise Interrupted(caught[0], run.snapshots(STATES)[solver.iter])
        if recipe.scores_at(solver.iter) and solver.iter not in run.scored():
            evaluate(job, run, solver, solver.iter)
    return run.snapshots()[solver.iter]


def continue_from(state: SolverState, job: Job, run: Run, solver: SolverLike) -> None:
    """Restore a state, and score the snapshots before it whose scoring was cut short.

    Raises:
        ValueError: the state does not fit.
    """
    net = solver.net
    state.check(net.params, job.recipe.type)
    missing = unscored(job, run, state.iteration)
    for iteration in missing:
        loading.load(net, run.snapshots()[iteration])
        evaluate(job, run, solver, iteration)
    with state.at_home(run.path) as path:
        solver.restore(str(path))
    log.info("%s: continuing from iteration %d of %s", job.model, solver.iter, state.path)


def unscored(job: Job, run: Run, last: int) -> list[int]:
    """The iterations up to `last` that have a snapshot, and should have a score and have none."""
    return [i for i in run.snapshots() if i <= last and job.recipe.scores_at(i) and i not in run.scored()]


def evaluate(job: Job, run: Run, solver: SolverLike, iteration: int) -> float:
    """Score the net in training, log the numbers, add them to `scores.csv`; returns the seconds it took."""
    begun = time.monotonic()
    numbers = score.evaluate(solver, job.recipe.test_iter)
    shown = (f"{name} {percent(value)} %" for name, value in numbers.items() if name != "loss")
    log.info("%s %d/%d  %s", job.model, iteration, job.recipe.max_iter, ", ".join(shown))
    try:
        run.add_scores({"iteration": iteration, **numbers})
    except OSError as error:
        log.warning("%s: the scores stand only here", error)
    return time.monotonic() - begun


@contextmanager
def snapshot_at_bad_data(run: Run, solver: SolverLike) -> Iterator[None]:
    """Keep what was trained where an image or a label cannot be read: the last step is whole."""
    try:
        yield
    except SampleError:
        if solver.iter and solver.iter not in run.snapshots(STATES):
            solver.snapshot()
        raise


def write_prototxts(job: Job, run: Run, iteration: int = 0) -> Any:
    """Write the nets and the solver of a run that goes on after `iteration`; the NetParameter of 'train'."""
    forms = [form for form in ("train", "val", "deploy") if form in (*job.layers, "deploy")]
    protos = {form: job.build(form, iteration) for form in forms}
    for form, proto in protos.items():
        run.net(form).write_text(str(proto))
    run.solver.write_text(
        solvers.text(
            job.recipe,
            train_net=str(run.net("train")),
            seed=job.seed,
            val_net=str(run.net("val")) if job.recipe.test_every else None,
            snapshot_prefix=str(run.prefix),
            command=command(),
        )
    )
    return protos["train"]
