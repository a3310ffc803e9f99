"""Training one stage, from prototxts to the last snapshot: the loop. Only pycaffe's public API."""

from __future__ import annotations

import io
import logging
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import caffe
import solvers
import surgery

from .. import score
from ..engine import multiplying
from ..job import Job
from ..lock import locked
from ..outputs import replace_text
from ..protocols import SolverLike
from ..ranks.batch import announce_batch, images_a_step
from ..runs import STATES, Run, command, launch
from ..tables import percent
from ..verify import Subject, check_start, settle
from ..weights import loading, provenance
from ..weights.solverstate import SolverState
from . import handover
from .events import Recorder, recording, unrecorded
from .journal import log_to
from .keeping import loopstate
from .keeping.keeper import Keeper
from .keeping.snapshots import Snapshots
from .numbers import check_step
from .progress import Begin, Meter
from .session import PLAIN, Session
from .stopping import Asked, listening
from .trouble import enough_memory, kept

log = logging.getLogger("fcn")

#: Seconds until a file that one computer has written is seen by another one that shares its folder.
SEEN = 60.0


def train(
    job: Job,
    run: Run,
    resume: Path | None = None,
    fingerprints: Mapping[str, Any] | None = None,
    session: Session = PLAIN,
) -> Path:
    """Do `job` in the folder `run`, until its recipe's last step; returns the last weights.

    In each process of a team: the first writes the run, scores and takes the snapshots; the others read it.

    Args:
        job: what to train. Its weights are a file here; without them the net starts from its fillers.
        resume: a solverstate to go on from instead.
        fingerprints: what the data are, for `run.json`.
        session: how this start of it behaves.

    Raises:
        ValueError: weights or a state that do not fit.
        RuntimeError: this caffe does not know the job's precision.
        Suspect: in a strict session, with the known causes of a low score that are there.
        Locked: another process is training in the folder.
        Diverged: a loss, a gradient or a weight is no number; suspect snapshots are set aside.
        Interrupted: a signal came or the time is up, and the snapshot has been taken.
        NoSnapshot: none could be written for longer than the session waits.
        OutOfMemory: an image needs more than there is.
    """
    with _at_work(job, run, session) as (mine, at_work):
        iteration, stopped = _train(mine, at_work, resume, fingerprints or {}, session)
    last = _last_state(run, iteration, session)
    if stopped is not None:
        raise stopped.interrupted(last)
    return SolverState.read(last).weights


def _last_state(run: Run, iteration: int, session: Session) -> Path:
    """The snapshot that the first process of a team has taken at the end.

    Raises:
        RuntimeError: this process does not see it.
    """
    session.team.most([0])
    patience = time.monotonic() + SEEN
    while iteration not in run.snapshots(STATES):
        if time.monotonic() > patience:
            raise RuntimeError(
                f"{run.path}: the first process has ended at iteration {iteration}, and its snapshot is not "
                "seen here: several computers need a folder that they share (--runs)"
            )
        time.sleep(0.1)
    return run.snapshots(STATES)[iteration]


@contextmanager
def _at_work(job: Job, run: Run, session: Session) -> Iterator[tuple[Job, Run]]:
    """The job and the folder of this process: one that does not write the run gets a folder to throw away."""
    if session.team.root:
        yield job, run
        return
    with tempfile.TemporaryDirectory(prefix="fcn-rank-") as scratch:
        yield replace(job, recipe=job.recipe.changed(snapshot=0, test_every=0)), Run(Path(scratch))


def _train(
    job: Job, run: Run, resume: Path | None, fingerprints: Mapping[str, Any], session: Session
) -> tuple[int, Asked | None]:
    """`train` in one process; returns the last iteration, and what was asked for if that ended it."""
    recipe, team = job.recipe, session.team
    state = None if resume is None else SolverState.read(resume)
    with multiplying(job.precision), locked(run.make().path), log_to(run.log) as note:
        run.tidy()
        known = {} if resume is None else loopstate.load_loop(resume)
        done = state.iteration if state else 0
        begin = Begin(done, known.get("batches", done * recipe.iter_size), team.count)
        train_proto = write_prototxts(job, run, begin.batches)
        with enough_memory(job, lambda: state.iteration if state else 0):
            solver: SolverLike = caffe.get_solver(str(run.solver))
        net = solver.net
        if state is not None:
            continue_from(state, job, run, solver)
        else:
            untouched = handover.fill(net, job, job.weights, run) if job.weights else []
            surgery.interp(net, [name for name in net.params if "up" in name])
            pixels = float(net.blobs[job.labelings[0].label].data[0].size)
            if team.root:
                settle(check_start(Subject(net, job, train_proto, pixels, False, untouched)), session.strict)
        announce_batch(job, team.count, (run.launches() or [{}])[-1])
        entry = launch(solver.iter, _source(resume, job), fingerprints)
        run.record(job, {**entry, **_provenance(job), "images_a_step": images_a_step(job, team.count)})
        run.rewind(solver.iter)
        Snapshots(run).rewind(solver.iter)
        note(f"Solving {job.model}")  # as solver.solve() says: log parsers count the seconds from this line

        label = net.blobs[job.labelings[0].label]
        meter = Meter(job, run, begin, label.data.shape[0], None if team.root else io.StringIO())
        meter.losses = known.get("losses", [])
        keeper = Keeper(job, run, solver, meter, session)
        if team.root:  # whose numbers they are
            loopstate.restore_generators(known)
        team.join(solver)
        watched = recording(run, session.tensorboard)
        with (
            watched as meter.record,
            listening(session) as asked,
            kept(job, solver, keeper.take),
            team.busy(""),
        ):
            while solver.iter < recipe.max_iter and not asked.all_stop:
                solver.step(1)
                loss = sum(float(net.blobs[labeling.loss].data) for labeling in job.labelings)
                meter.update(solver.iter, loss, label.data)
                check_step(job, run, solver, loss)
                asked.agree()
                keep_what_is_due(keeper, asked)
                if recipe.scores_at(solver.iter):
                    with team.busy("scoring"):
                        meter.pause(evaluate(job, run, solver, asked, meter.record))
                    keeper.prune()
            keeper.finish(wait=not asked.to_stop)
        unfinished = solver.iter < recipe.max_iter or not is_scored(job, run, solver.iter)
        return solver.iter, asked if asked.to_stop and unfinished else None


def keep_what_is_due(keeper: Keeper, asked: Asked) -> None:
    """Take the snapshot that this step should have, was asked for, or is going to be scored."""
    recipe, iteration = keeper.job.recipe, keeper.solver.iter
    due = bool(recipe.snapshot) and iteration % recipe.snapshot == 0
    asked_for = asked.snapshot_is_due()
    keeper.poll(due or asked_for or recipe.scores_at(iteration))


def _provenance(job: Job) -> dict[str, Any]:
    """What is known of the files that a training starts from, for `run.json`."""
    known = {path.name: found for path in job.weights if (found := provenance.lookup(path))}
    return {"weights": known} if known else {}


def _source(resume: Path | None, job: Job) -> str:
    """What a training starts from, for `run.json`."""
    return str(resume) if resume else ", ".join(map(str, job.weights)) or "None"


def continue_from(state: SolverState, job: Job, run: Run, solver: SolverLike) -> None:
    """Restore a state, and score the snapshots before it whose scoring was cut short.

    Raises:
        ValueError: the state does not fit.
    """
    net = solver.net
    state.check(net.params, job.recipe.type)
    for iteration in unscored(job, run, state.iteration):
        loading.load(net, run.snapshots()[iteration])
        evaluate(job, run, solver, iteration=iteration)
    with state.at_home(run.path) as path:
        solver.restore(str(path))
    log.info("%s: continuing from iteration %d of %s", job.model, solver.iter, state.path)


def unscored(job: Job, run: Run, last: int) -> list[int]:
    """The iterations up to `last` that have a snapshot, and should have a score and have none."""
    return [i for i in run.snapshots() if i <= last and not is_scored(job, run, i)]


def is_scored(job: Job, run: Run, iteration: int) -> bool:
    """Whether a step has the score that it should have, if any."""
    return not job.recipe.scores_at(iteration) or iteration in run.scored()


def evaluate(
    job: Job,
    run: Run,
    solver: SolverLike,
    asked: Asked | None = None,
    record: Recorder = unrecorded,
    iteration: int | None = None,
) -> float:
    """Score the net in training, log the numbers, add them to `scores.csv`; returns the seconds it took.

    Without numbers where the training is `asked` to stop meanwhile: they are made up for when it goes on.
    record: gets the numbers too. iteration: whose weights the net has; by default the solver's.
    """
    iteration = solver.iter if iteration is None else iteration
    begun = time.monotonic()
    numbers = score.evaluate(
        solver,
        job.recipe.test_iter,
        job.labelings,
        job.folder,
        lambda: asked is not None and asked.to_stop,
    )
    if numbers is None:
        return time.monotonic() - begun
    shown = (f"{name} {percent(value)} %" for name, value in numbers.items() if not name.endswith("loss"))
    log.info("%s %d/%d  %s", job.model, iteration, job.recipe.max_iter, ", ".join(shown))
    row = {"iteration": iteration, **numbers}
    record("score", row)
    try:
        run.add_scores(row)
    except OSError as error:
        log.warning("%s: the scores stand only here", error)
    return time.monotonic() - begun


def write_prototxts(job: Job, run: Run, read: int = 0) -> Any:
    """Write the nets and the solver of a run that has `read` batches; returns the NetParameter of 'train'."""
    forms = [form for form in ("train", "val", "deploy") if form in (*job.layers, "deploy")]
    protos = {form: job.build(form, read) for form in forms}
    for form, proto in protos.items():
        replace_text(run.net(form), str(proto))
    replace_text(
        run.solver,
        solvers.text(
            replace(job.recipe, snapshot=0),
            train_net=str(run.net("train")),
            seed=job.seed,
            val_net=str(run.net("val")) if job.recipe.test_every else None,
            snapshot_prefix=str(run.prefix),
            command=f"{command()}\nsnapshots: fcn train takes them itself, every {job.recipe.snapshot} steps",
        ),
    )
    return protos["train"]
