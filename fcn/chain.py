"""The chain of stages: which weights each starts from, and training them one after the other."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import nets
import solvers
from fcn.dataset import check_split, open_dataset
from fcn.inputs import Inputs, require
from fcn.runs import STATES, Run
from fcn.training import resume_state, train_stage
from voc_layers.reading import DataError

log = logging.getLogger("fcn")

CHAIN = ("voc-fcn32s", "voc-fcn16s", "voc-fcn8s")
SOURCES = {
    "vgg16": "VGG_ILSVRC_16_layers.caffemodel, http://www.robots.ox.ac.uk/~vgg/software/very_deep/caffe/",
    "caffenet": "bvlc_reference_caffenet.caffemodel, http://dl.caffe.berkeleyvision.org/",
}


def recipes(
    models: list[str], kind: str | None = None, base_lr: float | None = None, **changes: Any
) -> list[solvers.Recipe]:
    """The recipe of each model, changed.

    ``base_lr`` is the first model's rate, and the others keep their ratio to it; ``changes`` are other
    fields, None meaning the recipe's own. ValueError for a model without such a recipe.
    """
    rows = [solvers.recipe(model, kind) for model in models]
    factor = 1.0 if base_lr is None else base_lr / rows[0].base_lr
    given = {key: value for key, value in changes.items() if value is not None}
    return [replace(row, base_lr=row.base_lr * factor, **given) for row in rows]


def train_chain(
    models: list[str],
    data: Inputs,
    recipes: list[solvers.Recipe],
    *,
    root: str | Path = "runs",
    weights: str | None = None,
    resume: str | None = None,
    classes: int | None = None,
    width: float = 1.0,
    seed: int = 1337,
    evaluate: Callable[[Any, list[str]], Mapping[str, float]] | None = None,
) -> list[Path]:
    """Train ``models`` one after the other, each in ``root``/<model>; returns their last weights.

    Args:
        weights: what the first model starts from: a caffemodel, or the folder of a run. The others, and
            the first without it, start from the newest snapshot of their parent's run.
        resume: 'auto' goes on from each run's newest state and leaves out what is trained already; else a
            solverstate for the first model.
        classes: by default the lines of the data's classes.txt, or the model's own.
        evaluate: called with the solver and the ids of the 'val' list; see ``train_stage``.

    Raises:
        MissingInputs, DataError: before anything starts, with all files that are not there or not what they
            should be. ValueError: see ``train_stage`` and ``resume_state``.
    """
    forms = ("train", "val") if evaluate else ("train",)
    require(data, forms, missing_weights(models, root, weights, resume, width))
    check_data(data, forms, classes)
    ids = data.ids("val") if evaluate else []
    listed = data.class_list()
    names = listed.names if listed else None
    facts = {"voc_dir": data.voc_dir, "sbd_dir": data.sbd_dir, "class_names": names}
    options: dict[str, Any] = {
        "seed": seed,
        "classes": classes or (len(names) if names else None),
        "facts": {**facts, "data": {form: data.fingerprint(form) for form in forms}},
        "evaluate": partial(_on, evaluate, ids) if evaluate else None,
    }
    made: list[Path] = []
    for i, (model, recipe) in enumerate(zip(models, recipes)):
        run, first = Run.create(root, model), i == 0
        state = resume_state(run, resume if first or resume == "auto" else None)
        last = run.newest()
        if state is not None and last is not None and max(run.snapshots()) >= recipe.max_iter:
            log.info("%s: already trained, %s", model, last)
            made.append(last)
            continue
        start = find_weights(model, root, weights if first else None)
        arch = nets.get(model).arch.scaled(width)
        layers = data.layers(seed, **({} if names else {"classes": classes or nets.get(model).classes}))
        recipe = replace(recipe, test_iter=len(ids) or recipe.test_iter)
        made.append(
            train_stage(model, run, layers, recipe, arch=arch, weights=start, resume=state, **options)
        )
    return made


def _on(evaluate: Callable[[Any, list[str]], Mapping[str, float]], ids: list[str], solver: Any) -> Any:
    return evaluate(solver, ids)


def check_data(data: Inputs, forms: tuple[str, ...], classes: int | None = None) -> None:
    """Warn of images that are both trained and scored on; read all of one's own images and labels.

    DataError lists the files that are not what they should be. PASCAL VOC and SBD are not read: they are
    known to be right, and the data layers check each file when its turn comes.
    """
    shared = data.shared_ids() if "val" in forms else []
    if shared:
        text = "%d of the %d images to score on are also trained on (%s, ...): the scores will be too good"
        log.warning(text, len(shared), len(data.ids("val")), shared[0])
    if data.sbd_dir is not None:
        return
    own = open_dataset(data.voc_dir)
    if classes and data.class_list() is None:
        own = replace(own, classes=tuple(map(str, range(classes))))
    problems = [p for form in forms for p in check_split(own, data.list_file(form).stem).problems]
    if problems:
        more = [f"... {len(problems)} in all: python -m fcn.dataset {data.voc_dir}"] if problems[5:] else []
        raise DataError("\n  ".join([*problems[:5], *more]))


def find_weights(model: str, root: str | Path, given: str | Path | None = None) -> Path | None:
    """The file that ``model`` starts from; None if there is none.

    That is ``given`` (a file, or the folder of a run), else the newest snapshot of its parent's run.
    """
    if given is not None:
        path = Path(given)
        return Run(path).newest() if path.is_dir() else path if path.is_file() else None
    parent = nets.get(model).parent
    return Run(Path(root) / parent).newest() if parent else None


def missing_weights(
    models: list[str], root: str | Path, given: str | None, resume: str | None, width: float = 1.0
) -> list[str]:
    """A line for each stage whose weights are neither there nor made by a stage before it."""
    lines = []
    for i, model in enumerate(models):
        parent = nets.get(model).parent
        wanted = given if i == 0 else None
        resumes = resume is not None and (resume != "auto" or Run(Path(root) / model).newest(STATES))
        if parent in models[:i] or resumes or find_weights(model, root, wanted):
            continue
        lines.append(_how_to_get(model, str(parent), root, wanted, width))
    return lines


def _how_to_get(model: str, parent: str, root: str | Path, given: str | None, width: float) -> str:
    if nets.get(parent).stride is not None:
        file = given or Path(root) / parent / "snapshot" / "*.caffemodel"
        return f"{file}   ({model} starts from {parent}, which is made by: python solve.py {parent})"
    scale = f" --width {width:g}" if width != 1 else ""
    file = given or f"{parent}.caffemodel"
    return (
        f"{file}   (the classifier that {model} starts from, for --weights: {SOURCES[parent]}; or a "
        f"random stand-in: python -m fcn.weights random {parent}{scale} -o {file})"
    )
