"""How weights get from one stage to the next: which file a stage starts from, and filling its net from it."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import caffe
import nets
import surgery

from ..job import Job
from ..protocols import NetLike
from ..runs import STATES, WEIGHTS, Run
from ..weights import caffemodel, loading
from ..weights.wire import Shape
from . import finetune
from .keeping.snapshots import Snapshots

log = logging.getLogger("fcn")

#: A stage: what it is, and the folder it leaves.
Stage = tuple[Job, Run]

SOURCES = {
    "vgg16": "VGG_ILSVRC_16_layers.caffemodel, fcn weights get vgg16",
    "caffenet": "bvlc_reference_caffenet.caffemodel, fcn weights get caffenet",
    "googlenet": "bvlc_googlenet.caffemodel, fcn weights get googlenet",
}


def find_weights(job: Job, run: Run) -> tuple[Path, ...]:
    """The files that a stage starts from, one for each parent of its model; () if one of them is missing.

    Those are the job's own (a file, or the newest snapshot of a run's folder), else the newest snapshots of
    its parents' runs, which lie beside `run`.

    Raises:
        ValueError: the job has another number of files than the model has parents.
    """
    found = _sources(job, run)
    return tuple(path for path in found if path) if all(found) else ()


def _sources(job: Job, run: Run) -> list[Path | None]:
    parents = nets.get(job.model).parents
    if not job.weights:
        return [Run(run.path.parent / parent).newest() for parent in parents]
    if len(job.weights) != max(1, len(parents)):
        raise ValueError(
            f"{job.model} starts from {len(parents)} nets, {' and '.join(parents)}, and --weights names "
            f"{len(job.weights)}: give it once for each, in that order, or leave it out to take their runs"
        )
    return [_weights_at(path) for path in job.weights]


def _weights_at(path: Path) -> Path | None:
    if path.is_dir():
        return Run(path).newest()
    return path if path.is_file() else None


def missing_weights(stages: Sequence[Stage], resume: str | None) -> list[str]:
    """A line for each file of weights that is neither there nor made by a stage before."""
    lines = []
    models = [job.model for job, _ in stages]
    for i, (job, run) in enumerate(stages):
        if resume is not None and (resume != "auto" or run.newest(STATES)):
            continue
        given = job.weights or (None,) * len(nets.get(job.model).parents)
        for parent, file, named in zip(nets.get(job.model).parents, _sources(job, run), given):
            if file is None and parent not in models[:i]:
                lines.append(_how_to_get(job, parent, named, run.path.parent))
    return lines


def _how_to_get(job: Job, parent: str, named: Path | None, runs: Path) -> str:
    if nets.get(parent).stride is not None:
        file = named or runs / parent / "snapshot" / "*.caffemodel"
        return f"{file}   ({job.model} starts from {parent}, which is made by: fcn train {parent})"
    scale = f" --width {job.width:g}" if job.width != 1 else ""
    file = named or Path(f"{parent}.caffemodel")
    return (
        f"{file}   (the classifier that {job.model} starts from, for --weights: {SOURCES[parent]}; or a "
        f"random stand-in: fcn weights random {parent}{scale} -o {file})"
    )


def fill(net: NetLike, job: Job, weights: Sequence[Path], run: Run) -> list[str]:
    """Fill `net` from files of weights; returns the names of the layers that received nothing.

    A classifier in fc form is loaded into its own net (written to the run's folder) and transplanted, which
    makes fc6 and fc7 convolutions; so are the nets of several parents, each into its own trunk. A net for
    other classes is copied but for its scores, see `finetune`. Everything else is copied by name. What is new
    in this stage may go without weights: its scores, which start at zero, and what interpolates.

    Raises:
        ValueError: shapes that differ, and layers of the parent's net that the file does not fill.
    """
    model = nets.get(job.model)
    if job.kept is not None and "fc8" not in caffemodel.shapes(weights[0]):
        return finetune.fill(net, job, weights[0])
    if not model.parents:
        untouched = loading.load(net, weights[0], lambda layer: True)
    elif _is_copied(model, weights[0], net):
        parent = nets.build(model.parents[0], "deploy", arch=job.arch)
        olds = {layer.name for layer in parent.layer}
        untouched = loading.load(net, weights[0], lambda layer: layer not in olds or "up" in layer)
    else:
        return _transplant(net, job, weights, run)
    log.info("%s: copied the layers of the same name from %s", job.model, weights[0])
    return untouched


def _is_copied(model: nets.Model, weights: Path, net: NetLike) -> bool:
    """Whether what a stage starts from has the names and the shapes of its net."""
    if len(model.parents) > 1 or model.widened:
        return False
    if nets.get(model.parents[0]).stride is not None:
        return True
    fc6 = net.params.get("fc6")
    return fc6 is not None and _convolutional(caffemodel.shapes(weights), tuple(fc6[0].data.shape))


def _transplant(net: NetLike, job: Job, weights: Sequence[Path], run: Run) -> list[str]:
    """Fill `net` from nets of its parents; returns the names of the layers that received nothing."""
    model, untouched = nets.get(job.model), set(net.params)
    for parent, suffix, path in zip(model.parents, model.suffixes, weights):
        source = _source(parent, job, path, run)
        log.info("%s: transplanting %s into a fully convolutional net", job.model, path)
        untouched &= set(map(str, surgery.transplant(net, source, suffix).untouched))
        for layer, wider in model.widened.items():
            surgery.widen(net, wider, source, layer)
            untouched.discard(wider)
    return [name for name in net.params if name in untouched]


def _source(parent: str, job: Job, weights: Path, run: Run) -> NetLike:
    """A net of the parent with its weights. One that was a classifier may be convolutional already."""
    found, scores = caffemodel.shapes(weights), job.arch.scores
    options: dict[str, Any] = {"arch": job.arch, "classes": len(job.class_names)}
    lacks: tuple[str, ...] = ("up",)
    if nets.get(parent).stride is None and _convolutional(found):
        parent, lacks = "voc-fcn32s", ("up", "score")
    elif nets.get(parent).stride is None:
        shapes, lacks = found.get(scores), (scores,)  # it is not transplanted
        options["classes"] = math.prod(shapes[0][:-1]) if shapes else nets.get(parent).classes
    file = run.path / f"{parent}.prototxt"
    file.write_text(str(nets.build(parent, "deploy", **options)))
    source: NetLike = caffe.Net(str(file), caffe.TEST)
    loading.load(source, weights, lambda layer: any(word in layer for word in lacks))
    return source


def _convolutional(found: Mapping[str, list[Shape]], like: tuple[int, ...] | None = None) -> bool:
    """Whether a classifier's file has fc6 as a convolution: one of this shape, if it is given."""
    fc6 = tuple(found["fc6"][0]) if found.get("fc6") else ()
    if like is not None:
        return fc6 == like
    return len(fc6) == 4 and fc6[2:] != (1, 1) and fc6[:2] != (1, 1)


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
        state = Snapshots(run).newest()
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
    return Snapshots(run).checked(path)
