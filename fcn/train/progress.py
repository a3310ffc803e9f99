"""Progress of a training: losses a person can compare, speed, time left; on the console, in files."""

from __future__ import annotations

import logging
import math
import sys
import time
from datetime import timedelta
from typing import NamedTuple, TextIO

import numpy as np

from voc_layers.facts import VOID

from ..job import Job
from ..runs import CURVES, Run
from .events import Recorder, unrecorded

log = logging.getLogger("fcn")


class Begin(NamedTuple):
    """Where one start of a training goes on: the steps done, the batches read in them, and in how many
    processes."""

    iteration: int = 0
    batches: int = 0
    processes: int = 1


class Meter:
    """Collects one loss per step; reports every `display` steps.

    A terminal gets one line that is rewritten, anything else plain lines; `train.log` and `curves.csv` get a
    line each time. A net's loss is a mean over valid labels (per pixel) or Caffe's sum over pixels divided by
    the number of images; both are reported. With `iter_size` above 1 a step's loss is that of its last batch,
    as pycaffe shows no other; of several processes, that of the first. Images and speed are those of all.
    """

    def __init__(self, job: Job, run: Run, begin: Begin, batch: int, stream: TextIO | None = None) -> None:
        self.job, self.run, self.begin, self.start = job, run, begin, begin.iteration
        self.total, self.display = job.recipe.max_iter, max(1, job.recipe.display)
        self.images_per_step = job.recipe.iter_size * batch * begin.processes
        self.batch = batch
        self.stream = sys.stderr if stream is None else stream
        self.terminal, self.writes = self.stream.isatty(), True
        self.begun, self.shown, self.paused = time.monotonic(), 0.0, 0.0
        self.losses: list[tuple[float, float]] = []
        self.record: Recorder = unrecorded

    def update(self, iteration: int, loss: float, label: np.ndarray) -> bool:
        """Add the loss of step `iteration`; returns whether it is a finite number."""
        images = label.shape[0]
        valid = max(1, int(np.count_nonzero(label != VOID)))
        pair = (loss * valid / images, loss) if self.job.normalized else (loss, loss * images / valid)
        self.losses = [*self.losses, pair][-self.display :]
        if iteration % self.display == 0 or iteration == self.total:
            self._report(iteration)
        elif self.terminal and time.monotonic() - self.shown > 0.5:
            self._rewrite(self._line(iteration))
        return math.isfinite(loss)

    def batches(self, iteration: int) -> int:
        """How many batches all processes have read after so many steps."""
        a_step = self.job.recipe.iter_size * self.begin.processes
        return self.begin.batches + (iteration - self.start) * a_step

    def pause(self, seconds: float) -> None:
        """Do not count `seconds` (of scoring) as training time."""
        self.paused += seconds

    def _rate(self, iteration: int) -> float:
        """Steps a second since the start, scoring left out."""
        return (iteration - self.start) / max(1e-9, time.monotonic() - self.begun - self.paused)

    def _line(self, iteration: int) -> str:
        per_image, per_pixel = np.mean(self.losses, axis=0)
        rate = self._rate(iteration)
        left = timedelta(seconds=round((self.total - iteration) / rate))
        return (
            f"{self.job.model} {iteration}/{self.total}  loss {per_image:.6g} per image, {per_pixel:.4f} per "
            f"valid pixel  {rate * self.images_per_step:.2f} images/s  {left} left"
        )

    def _report(self, iteration: int) -> None:
        per_image, per_pixel = np.mean(self.losses, axis=0)
        rate = self._rate(iteration) * self.images_per_step
        values = (
            iteration,
            self.batches(iteration) * self.batch,
            f"{per_image:.8g}",
            f"{per_pixel:.8g}",
            f"{rate:.4g}",
            f"{time.monotonic() - self.begun:.2f}",
        )
        row = dict(zip(CURVES, values))
        self.record("train", row)
        try:
            self.run.append(self.run.curves, row)
        except OSError as error:
            if self.writes:
                log.warning("%s: the curve has gaps from here on", error)
            self.writes = False
        line = self._line(iteration)
        log.log(logging.DEBUG if self.terminal else logging.INFO, line)
        if self.terminal:
            self._rewrite(line, end="\n" if iteration == self.total else "")

    def _rewrite(self, line: str, end: str = "") -> None:
        self.shown = time.monotonic()
        try:
            self.stream.write(f"\r\x1b[K{line}{end}")
            self.stream.flush()
        except OSError:
            self.terminal = False  # it was closed; the training goes on, or takes its last snapshot
