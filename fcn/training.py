"""Training one stage of the chain, from prototxts to the last snapshot. Only pycaffe's public API."""

from __future__ import annotations

import logging
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

import numpy as np

import caffe
import nets
import solvers
import surgery
from fcn import caffemodel, startup
from fcn.progress import Meter
from fcn.runs import STATES, WEIGHTS, Run, command, launch

log = logging.getLogger("fcn")

Evaluate = Callable[[Any], Mapping[str, float] | None]


class Diverged(RuntimeError):
    """The loss became infinite or not a number."""


class Interrupted(RuntimeError):
    """A signal asked the training to stop; ``signum`` is its number. The snapshot has been taken."""

    def __init__(self, signum: int, snapshot: Path) -> None:
        super().__init__(f"stopped by signal {signum}; go on from {snapshot} with --resume auto")
        self.signum = signum


def train_stage(
    model: str,
    run: Run,
    data: Mapping[str, nets.PythonData],
    recipe: solvers.Recipe,
    *,
    classes: int | None = None,
    arch: Any = None,
    weights: Path | None = None,
    resume: Path | None = None,
    seed: int | None = None,
    evaluate: Evaluate | None = None,
    facts: Mapping[str, Any] | None = None,
    stream: TextIO | None = None,
) -> Path:
    """Train ``model`` in the folder ``run`` until ``recipe.max_iter`` steps; returns the last weights.

    Args:
        data: the data layers of 'train' and, with ``evaluate``, of 'val'.
        classes, arch: number of scores and widths of the trunk; the model's own by default.
        weights: what to start from: those of the model's parent, or of its classifier (in fc form or
            already convolutional). None starts from the fillers, or from ``resume``.
        resume: a solverstate to continue from instead.
        seed: of dropout and fillers; the data layers have their own.
        evaluate: called with the solver every ``recipe.test_every`` steps and at the end; the numbers it
            returns become a row of ``scores.csv``.
        facts: more entries for ``run.json``.
        stream: where progress goes; stderr by default.

    Raises:
        ValueError: weights that do not fit. Diverged, Interrupted: see there.
    """
    row = nets.get(model)
    classes, arch = classes or row.classes, arch or row.arch
    make_solver = caffe.get_solver  # loads the engine, whose log is redirected next
    with _log_to(run.log):
        train_proto = write_prototxts(model, run, data, recipe, classes, arch, seed, val=evaluate is not None)
        solver = make_solver(str(run.solver))
        if resume is not None:
            solver.restore(str(resume))
            log.info("%s: continuing from iteration %d of %s", model, solver.iter, resume)
        else:
            untouched = start_from(solver.net, model, weights, arch, run) if weights is not None else []
            surgery.interp(solver.net, [name for name in solver.net.params if "up" in name])
            startup.warn(startup.findings(solver.net, train_proto, untouched))
        about = {
            "model": model,
            "classes": classes,
            "arch": asdict(arch),
            "seed": seed,
            "recipe": asdict(recipe),
            "weights": weights or run.read_info().get("weights"),
        }
        run.write_info({**about, **(facts or {})}, launch(solver.iter, str(resume or weights)))
        run.rewind(solver.iter)
        # What solver.solve() says: log parsers count the seconds from this line.
        logging.getLogger("caffe").info("Solving %s", model)
        _loop(solver, run, model, recipe, evaluate, stream)
    return run.snapshots()[solver.iter]


def write_prototxts(
    model: str,
    run: Run,
    data: Mapping[str, nets.PythonData],
    recipe: solvers.Recipe,
    classes: int,
    arch: Any,
    seed: int | None,
    val: bool = True,
) -> Any:
    """Write the nets and the solver of a run; returns the NetParameter of 'train'."""
    options: dict[str, Any] = {"data": data, "classes": classes, "arch": arch}
    if nets.get(model).stride is not None:
        options["normalize"] = recipe.normalize
    protos = {
        form: nets.build(model, form, **options)
        for form in ("train", "val", "deploy")
        if form == "deploy" or form in data
    }
    for form, proto in protos.items():
        run.net(form).write_text(str(proto))
    run.solver.write_text(
        solvers.text(
            recipe,
            train_net=str(run.net("train")),
            seed=seed,
            val_net=str(run.net("val")) if val else None,
            snapshot_prefix=str(run.prefix),
            command=command(),
        )
    )
    return protos["train"]


def start_from(net: Any, model: str, weights: Path, arch: Any, run: Run) -> list[str]:
    """Fill ``net`` from ``weights``; returns the names of the layers that received nothing.

    A classifier in fc form is loaded into its own net (written to the run's folder) and transplanted, which
    makes fc6 and fc7 convolutions. Everything else is copied by name. Raises ValueError where shapes differ.
    """
    found = caffemodel.shapes(weights)
    parent = nets.get(model).parent
    if parent is not None and nets.get(parent).stride is None and not _convolutional(found, net):
        file = run.path / f"{parent}.prototxt"
        outputs = math.prod(found["fc8"][0][:-1]) if found and "fc8" in found else nets.get(parent).classes
        file.write_text(str(nets.build(parent, "deploy", arch=arch, classes=outputs)))
        source = caffe.Net(str(file), caffe.TEST)
        if found is not None:
            caffemodel.check_fit(weights, source.params, found)
        source.copy_from(str(weights))
        log.info("%s: transplanting %s into a fully convolutional net", model, weights)
        return surgery.transplant(net, source).untouched
    if found is not None:
        caffemodel.check_fit(weights, net.params, found)
    net.copy_from(str(weights))
    log.info("%s: copied the layers of the same name from %s", model, weights)
    return [name for name in net.params if found is not None and name not in found]


def resume_state(run: Run, choice: str | None) -> Path | None:
    """The solverstate that ``choice`` means: 'auto' is the run's newest (None if there is none), else a file.

    Raises ValueError for a weights file, for a file that is not there, and, without a choice, for a folder
    that already holds snapshots.
    """
    newest = run.newest(STATES)
    if choice is None:
        done = run.newest()
        if done is not None:
            raise ValueError(
                f"{run.path} already holds {done.name}: --resume auto goes on from there; to "
                "start afresh, remove or rename the folder, or choose another with --runs"
            )
        return None
    if choice == "auto":
        return newest
    path = Path(choice)
    if path.name.endswith(WEIGHTS):
        state = path.with_name(path.name.replace(".caffemodel", ".solverstate"))
        raise ValueError(
            f"{path} is a weights file; the state to resume from is {state} "
            f"({'found' if state.is_file() else 'not found'})"
        )
    if not path.is_file():
        raise ValueError(f"no solver state at {path}; newest of {run.path}: {newest or 'none'}")
    return path


def _convolutional(found: Mapping[str, list[tuple[int, ...]]] | None, net: Any) -> bool:
    """Whether a classifier's file has fc6 as the convolution of ``net``."""
    if not found or "fc6" not in found or "fc6" not in net.params:
        return False
    return tuple(found["fc6"][0]) == tuple(net.params["fc6"][0].data.shape)


def _loop(
    solver: Any,
    run: Run,
    model: str,
    recipe: solvers.Recipe,
    evaluate: Evaluate | None,
    stream: TextIO | None,
) -> None:
    net = solver.net
    batch = net.blobs["data"].data.shape[0]
    # A classifier's loss is Caffe's default, a mean over the labels.
    normalized = recipe.normalize or nets.get(model).stride is None
    meter = Meter(
        run, model, solver.iter, recipe.max_iter, recipe.iter_size * batch, recipe.display, normalized, stream
    )
    scored = None
    with _stop_signals() as caught:
        while solver.iter < recipe.max_iter and not caught:
            solver.step(1)
            loss = float(net.blobs["loss"].data)
            if not meter.update(solver.iter, loss, net.blobs["label"].data):
                raise _diverged(run, solver, loss)
            if evaluate and recipe.test_every and solver.iter % recipe.test_every == 0 and not caught:
                scored = _score(solver, run, evaluate, meter)
    if solver.iter not in run.snapshots():
        solver.snapshot()
    if caught:
        raise Interrupted(caught[0], run.snapshots(STATES)[solver.iter])
    if evaluate and recipe.test_every and scored != solver.iter:
        _score(solver, run, evaluate, meter)


def _score(solver: Any, run: Run, evaluate: Evaluate, meter: Meter) -> int:
    begun = time.monotonic()
    numbers = evaluate(solver)
    if numbers:
        run.append(run.scores, {"iteration": solver.iter, **numbers})
    meter.pause(time.monotonic() - begun)
    return solver.iter


def _diverged(run: Run, solver: Any, loss: float) -> Diverged:
    iteration = solver.iter
    broken = [name for name, blob in solver.net.blobs.items() if not np.isfinite(blob.data).all()]
    # The forward pass of this step saw the weights of step iteration - 1: a snapshot from then on is suspect.
    aside = run.set_aside(iteration - 1)
    good = run.newest()
    kind = "not a number" if math.isnan(loss) else "infinite"
    return Diverged(
        f"the loss is {kind} at iteration {iteration} of {run.path.name}; the first blob with such values "
        f"is '{broken[0] if broken else 'loss'}'. Last good snapshot: "
        f"{good or 'none'}{f'; set aside: {[p.name for p in aside]}' if aside else ''}. The usual causes: "
        "a rate for the mean loss used with the summed one (or the reverse), the rate of an earlier stage, "
        "label values outside the classes."
    )


@contextmanager
def _stop_signals() -> Iterator[list[int]]:
    """A list that SIGINT or SIGTERM puts its number into; a second signal does what it did before."""
    caught: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield caught
        return
    before = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for signum, handler in before.items():
            signal.signal(signum, handler)

    def note(signum: int, frame: FrameType | None) -> None:
        caught.append(signum)
        restore()
        log.warning("signal %d: taking a snapshot after this step, then stopping", signum)

    for signum in before:
        signal.signal(signum, note)
    try:
        yield caught
    finally:
        restore()


@contextmanager
def _log_to(path: Path) -> Iterator[None]:
    """Write what the toolkit and caffe log to ``path``, as glog lines, which log parsers read.

    caffe's own handlers show warnings only for that time: its lines would bury the progress.
    """
    file = logging.FileHandler(path)
    file.setFormatter(
        logging.Formatter(
            "%(levelname).1s%(asctime)s.%(msecs)03d000 %(process)d %(filename)s:%(lineno)d] %(message)s",
            "%m%d %H:%M:%S",
        )
    )
    loggers = [logging.getLogger(name) for name in ("fcn", "surgery", "caffe")]
    before = [(handler, handler.level) for handler in loggers[-1].handlers]
    for handler, _ in before:
        handler.setLevel(logging.WARNING)
    for logger in loggers:
        logger.addHandler(file)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(file)
        for handler, level in before:
            handler.setLevel(level)
        file.close()
