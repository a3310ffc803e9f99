"""What is verified of a net: its parameters, the job that made it, and what it started from."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

import surgery

from ..job import Job
from ..runs import Run
from ..weights import caffemodel

#: Of a classifier's file, what is compared; fc6 alone is 400 MB.
LOOKED_AT = ("conv1_1", "fc6", "fc7")
#: Values of a layer that statistics are made of.
SAMPLE = 1 << 20


@dataclass(frozen=True)
class Subject:
    """A net that was trained, or is about to be.

    Attributes:
        net: its parameters.
        job: what it was made as.
        proto: its NetParameter, which says what learns.
        pixels: of an image, about; None if not known. A summed loss adds up as many gradients.
        is_trained: False before the first step, when scores are zero by design.
        untouched: layers that received nothing from the file that the net started from.
    """

    net: surgery.ParamsLike
    job: Job
    proto: Any
    pixels: float | None = None
    is_trained: bool = True
    untouched: Collection[str] = field(default_factory=tuple)

    def weights(self, layer: str) -> np.ndarray | None:
        """The weights of a layer; None without one of that name."""
        return self.net.params[layer][0].data if layer in self.net.params else None

    def learned(self, kind: str) -> dict[str, bool]:
        """Layers with parameters, of a Caffe type -> whether they learn."""
        found = [layer for layer in self.proto.layer if layer.type == kind and layer.name in self.net.params]
        return {layer.name: not layer.param or layer.param[0].lr_mult != 0 for layer in found}

    @property
    def before(self) -> Job | None:
        """The job of the run whose weights the stage started from, if a run says so."""
        return _job_of(self.job.weights[0]) if self.job.weights else None

    @cached_property
    def base(self) -> tuple[Path, Mapping[str, Sequence[np.ndarray]]] | None:
        """The file that the first stage of the chain started from, and what it holds of LOOKED_AT.

        None where no run says, or where the file is gone.
        """
        path = _first_weights(self.job)
        return (path, caffemodel.arrays(path, LOOKED_AT)) if path and path.is_file() else None


def thin(array: np.ndarray) -> np.ndarray:
    """At most about SAMPLE values of an array, evenly spaced, as float64."""
    flat = array.ravel()
    return flat[:: max(1, -(-flat.size // SAMPLE))].astype(np.float64)


def _job_of(weights: Path) -> Job | None:
    run = Run.holding(weights)
    return run.job() if run else None


def _first_weights(job: Job) -> Path | None:
    """The file at the start of the chain that a job ends."""
    seen: set[Path] = set()
    while job.weights and job.weights[0] not in seen:
        path = job.weights[0]
        seen.add(path)
        before = _job_of(path)
        if before is None or before.is_classifier:
            return path
        job = before
    return None
