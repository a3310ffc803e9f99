"""What a run is, from its run.json, in lines that people read."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..job import Job
from ..runs import Run


def facts(run: Run, weights: Path | None) -> list[tuple[str, str]]:
    """Name and value of each fact; none where the folder has no run.json.

    Folders are named by their last parts, in the command too: a page is made to be handed on.

    Raises:
        ValueError: a run.json that is damaged, or of another release.
    """
    job = run.job()
    if job is None:
        return []
    launches = run.launches()
    last: Mapping[str, Any] = launches[-1] if launches else {}
    found = {
        "model": job.model + (f", width {job.width:g}" if job.width != 1 else ""),
        "recipe": job.recipe.kind,
        "solver": _solver(job),
        "steps": f"{_step(weights)} of {job.recipe.max_iter:,}",
        "batch": _batch(job),
        "starts from": ", ".join(_short(path) for path in job.weights) or "its fillers",
        "classes": str(len(job.class_names)),
        **_data(last.get("data", {})),
        "mean (BGR)": ", ".join(f"{value:g}" for value in job.layers["train"].params.get("mean", ())),
        "changed at random": _augmentation(job),
        "precision": job.precision,
        "seed": str(job.seed),
        **_versions(last.get("versions", {})),
        "trained": _times(launches),
        "command": _command(str(last.get("command", ""))),
    }
    return [(name, value) for name, value in found.items() if value]


def _solver(job: Job) -> str:
    recipe = job.recipe
    loss = "mean loss" if job.normalized else "summed loss"
    return (
        f"{recipe.type}, rate {recipe.base_lr:g} ({recipe.lr_policy}), momentum {recipe.momentum:g}, "
        f"weight decay {recipe.weight_decay:g}, {loss}"
    )


def _step(weights: Path | None) -> str:
    """The step in the name of a snapshot."""
    number = "" if weights is None else weights.name.partition("_iter_")[2].partition(".")[0]
    return f"{int(number):,}" if number.isdigit() else "?"


def _batch(job: Job) -> str:
    batch, size = job.layers["train"].params.get("batch", 1), job.recipe.iter_size
    return f"{batch} image{'s' if batch != 1 else ''}" + (f", {size} of them to a step" if size > 1 else "")


def _data(data: Any) -> dict[str, str]:
    """List, number of images and digest of what was trained and scored on."""
    found = {}
    for form, what in (("train", "trained on"), ("val", "scored on")):
        split = data.get(form) if isinstance(data, dict) else None
        if isinstance(split, dict):
            name = _short(Path(str(split.get("list", "?"))))
            found[what] = f"{split.get('images', '?')} images, {name} (digest {split.get('digest', '?')})"
    return found


def _augmentation(job: Job) -> str:
    params = job.layers["train"].params
    return ", ".join(f"{key} {params[key]}" for key in ("mirror", "scale", "crop") if params.get(key))


def _versions(versions: Any) -> dict[str, str]:
    if not isinstance(versions, dict):
        return {}
    commit = str(versions.get("commit", "unknown"))
    names = {"engine": "engine", "python": "Python", "numpy": "NumPy"}
    found = {title: str(versions[key]) for key, title in names.items() if key in versions}
    return {**found, "commit": "" if commit == "unknown" else commit[:12]}


def _times(launches: list[dict[str, Any]]) -> str:
    times = [str(one.get("time", "")) for one in launches]
    if len(times) < 2:
        return "".join(times)
    return f"{times[0]}; gone on with {len(times) - 1} time{'s'[: len(times) > 2]}, last {times[-1]}"


def _short(path: Path) -> str:
    """The last two parts of a path; three of a snapshot, whose run is what tells it from others."""
    return "/".join(path.parts[-3 if path.parent.name == "snapshot" else -2 :])


def _command(text: str) -> str:
    """A command line with its absolute paths cut short."""
    try:
        words = shlex.split(text)
    except ValueError:
        return text
    return shlex.join([f".../{_short(Path(word))}" if Path(word).is_absolute() else word for word in words])
