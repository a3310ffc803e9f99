"""How long a training will take, said before it begins: a few passes on a net that is thrown away."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import caffe

from ..engine import quiet
from ..job import Job
from ..protocols import NetLike

log = logging.getLogger("fcn")

#: Below so many steps the first of them says as much.
WORTH = 100
#: Timed passes, and the seconds after which no more are made.
PASSES, PATIENCE = 3, 5.0


def announce(jobs: Sequence[Job]) -> None:
    """Log how long stages will take, by the first of them; nothing if there are few steps.

    Called before a solver is made: that sets the seeds anew, so that a run is the same with it or without.
    """
    if sum(job.recipe.max_iter for job in jobs) < WORTH:
        return
    step, image = measure(jobs[0])
    total = 0.0
    for job in jobs:
        recipe = job.recipe
        scorings = -(-recipe.max_iter // recipe.test_every) if recipe.test_every else 0
        seconds = recipe.max_iter * recipe.iter_size * step + scorings * recipe.test_iter * image
        total += seconds
        log.info(
            "%s: about %s on this machine: %d steps of %.2f s%s",
            job.model,
            _rounded(seconds),
            recipe.max_iter,
            recipe.iter_size * step,
            f", {scorings} scorings of {recipe.test_iter * image:.0f} s" if scorings else "",
        )
    if jobs[1:]:
        log.info("all %d stages: about %s, ending around %s", len(jobs), _rounded(total), _end(total))


def measure(job: Job) -> tuple[float, float]:
    """Seconds of a forward and backward pass on a batch to train on, and of scoring one image."""
    with tempfile.TemporaryDirectory() as folder, quiet():
        file = Path(folder, "train.prototxt")
        file.write_text(str(job.build("train")))
        net: NetLike = caffe.Net(str(file), caffe.TRAIN)
        _pass(net)  # makes room, and compiles
        times = [_pass(net)]
        while len(times) < PASSES and sum(sum(pair) for pair in times) < PATIENCE:
            times.append(_pass(net))
    forward, backward = (min(column) for column in zip(*times))
    return forward + backward, forward / net.blobs["data"].data.shape[0]


def _pass(net: NetLike) -> tuple[float, float]:
    """Seconds forward and backward; on a GPU they end when something has been read."""
    begun = time.monotonic()
    net.forward()
    float(net.blobs["loss"].data)
    between = time.monotonic()
    net.backward()
    first: Any = next(iter(net.params.values()))
    float(first[0].diff.flat[0])
    return between - begun, time.monotonic() - between


def _rounded(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds if seconds < 600 else 60 * round(seconds / 60))))


def _end(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(time.time() + seconds))
