"""How weights get from one stage to the next: which file a stage starts from, and filling its net from it."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import caffe
import nets
import surgery

from ..job import Job
from ..protocols import NetLike
from ..runs import STATES, WEIGHTS, Run
from ..weights import caffemodel, loading
from ..weights.solverstate import SolverState
from ..weights.wire import Shape
from . import finetune

log = logging.getLogger("fcn")

#: A stage: what it is, and the folder it leaves.
Stage = tuple[Job, Run]

SOURCES = {
    "vgg16": "VGG_ILSVRC_16_layers.caffemodel, http://www.robots.ox.ac.uk/~vgg/software/very_deep/caffe/",
    "caffenet": "bvlc_reference_caffenet.caffemodel, http://dl.caffe.berkeleyvision.org/",
}


def find_weights(job: Job, run: Run) -> Path | None:
    """The file that a stage starts from; None if there is none.

    That is the job's own (a file, or the newest snapshot of a run's folder), else the newest snapshot of its
    parent's run, which lies beside `run`.
    """
    if job.weights is not None:
        if job.weights.is_dir():
            return Run(job.weights).newest()
        return job.weights if job.weights.is_file() else None
    parent = nets.get(job.model).parent
    return Run(run.path.parent / parent).newest() if parent else None


def missing_weights(stages: Sequence[Stage], resume: str | None) -> list[str]:
    """A line for each stage whose weights are neither there nor made by a stage before it."""
    lines = []
    models = [job.model for job, _ in stages]
    for i, (job, run) in enumerate(stages):
        parent = nets.get(job.model).parent
        resumes = resume is not None and (resume != "auto" or run.newest(STATES))
        if parent is None or parent in models[:i] or resumes or find_weights(job, run):
            continue
        lines.append(_how_to_get(job, parent, run.path.parent))
    return lines


def _how_to_get(job: Job, parent: str, runs: Path) -> str:
    if nets.get(parent).stride is not None:
        file = job.weights or runs / parent / "snapshot" / "*.caffemodel"
        return f"{file}   ({job.model} starts from {parent}, which is made by: fcn train {parent})"
    scale = f" --width {job.width:g}" if job.width != 1 else ""
    file = job.weights or Path(f"{parent}.caffemodel")
    return (
        f"{file}   (the classifier that {job.model} starts from, for --weights: {SOURCES[parent]}; or a "
        f"random stand-in: fcn weights random {parent}{scale} -o {file})"
    )


def fill(net: NetLike, job: Job, weights: Path, run: Run) -> list[str]:
    """Fill `net` from the file `weights`; returns the names of the layers that received nothing.

    A classifier in fc form is loaded into its own net (written to the run's folder) and transplanted, which
    makes fc6 and fc7 convolutions. A net for other classes is copied but for its scores, see `finetune`.
    Everything else is copied by name. What is new in this stage may go
    without weights: its scores, which start at zero, and what interpolates.

    Raises:
        ValueError: shapes that differ, and layers of the parent's net that the file does not fill.
    """
    found = caffemodel.shapes(weights)
    parent = nets.get(job.model).parent
    if job.kept is not None and "fc8" not in found:
        return finetune.fill(net, job, weights)
    if parent is None:
        untouched = loading.load(net, weights, lambda layer: True)
    elif nets.get(parent).stride is None and not _convolutional(found, net):
        file = run.path / f"{parent}.prototxt"
        scores = found.get("fc8")
        outputs = math.prod(scores[0][:-1]) if scores else nets.get(parent).classes
        file.write_text(str(nets.build(parent, "deploy", arch=job.arch, classes=outputs)))
        source: NetLike = caffe.Net(str(file), caffe.TEST)
        loading.load(source, weights, lambda layer: layer == "fc8")  # which is not transplanted
        log.info("%s: transplanting %s into a fully convolutional net", job.model, weights)
        return list(map(str, surgery.transplant(net, source).untouched))
    else:
        olds = {layer.name for layer in nets.build(parent, "deploy", arch=job.arch).layer}
        untouched = loading.load(net, weights, lambda layer: layer not in olds or "up" in layer)
    log.info("%s: copied the layers of the same name from %s", job.model, weights)
    return untouched


def _convolutional(found: Mapping[str, list[Shape]], net: NetLike) -> bool:
    """Whether a classifier's file has fc6 as the convolution of `net`."""
    if not found.get("fc6") or "fc6" not in net.params:
        return False
    return tuple(found["fc6"][0]) == tuple(net.params["fc6"][0].data.shape)


def resume_state(run: Run, choice: str | None) -> Path | None:
    """The solverstate that `choice` means: 'auto' is the run's newest (None if there is none), else a file.

    Raises:
        ValueError: a weights file, a file that is not there, and, without a choice, a folder that already
            holds snapshots.
    """
    if choice is None:
        done = run.newest()
        if done is not None:
            raise ValueError(
                f"{run.path} already holds {done.name}: --resume auto goes on from there; to "
                "start afresh, remove or rename the folder, or choose another with --runs"
            )
        return None
    if choice == "auto":
        state = _newest_whole(run)
        held = run.newest(STATES) or run.newest()
        if state is None and held is not None:
            raise ValueError(
                f"{run.path} holds {held}, but no whole snapshot (.caffemodel and .solverstate) to go on "
                "from; to start afresh, remove or rename the folder"
            )
        return state
    path = Path(choice)
    if path.name.endswith(WEIGHTS):
        state = path.with_name(path.name.replace(".caffemodel", ".solverstate"))
        raise ValueError(
            f"{path} is a weights file; the state to resume from is {state} "
            f"({'found' if state.is_file() else 'not found'})"
        )
    if not path.is_file():
        raise ValueError(f"no solver state at {path}; newest of {run.path}: {run.newest(STATES) or 'none'}")
    return path


def _newest_whole(run: Run) -> Path | None:
    """The newest state of a run that is whole, and its weights: a Caffe that was killed may leave halves."""
    for path in reversed(run.snapshots(STATES).values()):
        try:
            caffemodel.shapes(SolverState.read(path).weights)
        except (ValueError, OSError) as error:
            log.warning("%s is passed over: %s", path, error)
        else:
            return path
    return None
