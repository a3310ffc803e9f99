"""What the training loop knows and Caffe's files leave out, on any Caffe: beside them as `*.loop.json`."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np

from voc_layers.whole import read_whole

from ...outputs import replace_text
from ...runs import Run

SUFFIX = ".loop.json"
VERSION = 1


def save_loop(run: Run, iteration: int, losses: list[tuple[float, float]], batches: int) -> None:
    """Write the losses of the window that is averaged over, how many batches all processes have read, and the
    state of this process's random generators, which data layers of one's own may draw from."""
    version, words, gauss = random.getstate()
    name, keys, *rest = np.random.get_state(legacy=True)  # noqa: NPY002  a user's layer may draw from it
    generators = {"random": [version, list(words), gauss], "numpy": [name, np.asarray(keys).tolist(), *rest]}
    facts = {"version": VERSION, "iteration": iteration, "losses": losses, "batches": batches, **generators}
    replace_text(_loop_path(run, iteration), json.dumps(facts) + "\n")


def load_loop(state: Path) -> dict[str, Any]:
    """What `save_loop` wrote beside a solver state; empty where there is nothing: another program wrote it.

    Raises:
        ValueError: it is damaged.
    """
    path = state.with_name(state.name.partition(".solverstate")[0] + SUFFIX)
    if not path.is_file():
        return {}
    try:
        found = json.loads(read_whole(path))
        version, words, gauss = found["random"]
        name, keys, *rest = found["numpy"]
        random.Random().setstate((version, tuple(words), gauss))
        np.random.RandomState().set_state((name, np.array(keys, np.uint32), *rest))
        return {
            "losses": [(float(a), float(b)) for a, b in found["losses"]],
            # What an earlier release wrote says no number: it trained in one process.
            **({"batches": int(found["batches"])} if "batches" in found else {}),
            "random": (version, tuple(words), gauss),
            "numpy": (name, np.array(keys, np.uint32), *rest),
        }
    except (OSError, ValueError, LookupError, TypeError, OverflowError, RecursionError) as error:
        raise ValueError(f"{path}: damaged ({error}); remove it to go on without it") from error


def restore_generators(known: dict[str, Any]) -> None:
    """Put the process's random generators where `load_loop` found them."""
    if known:
        random.setstate(known["random"])
        np.random.set_state(known["numpy"])  # noqa: NPY002


def _loop_path(run: Run, iteration: int) -> Path:
    return run.prefix.with_name(f"{run.prefix.name}_iter_{iteration}{SUFFIX}")
