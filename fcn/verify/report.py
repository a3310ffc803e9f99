"""All checks of a run, and what they say together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voc_layers.folder import Split
from voc_layers.reading import SampleError, read_size

from ..data import TrainingData
from ..trained import Trained
from .finding import Finding, Verdict
from .inputs import Inputs, check_inputs
from .predictions import predictions
from .subject import Subject
from .trained import check_net


@dataclass(frozen=True)
class Report:
    """The findings of a run's weights."""

    weights: Path
    model: str
    findings: Sequence[Finding]

    @property
    def is_sound(self) -> bool:
        """Whether nothing failed."""
        return all(found.verdict is not Verdict.FAIL for found in self.findings)

    def text(self) -> str:
        """For people: a line a check, and one more for what to do."""
        width = max(len(found.name) for found in self.findings)
        lines = [line for found in self.findings for line in found.lines(width)]
        return "\n".join([f"{self.model}, {self.weights}", *lines, self._count()]) + "\n"

    def _count(self) -> str:
        counts = ((verdict, sum(found.verdict is verdict for found in self.findings)) for verdict in Verdict)
        return ", ".join(f"{count} {verdict.value}" for verdict, count in counts)

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "weights": str(self.weights),
            "model": self.model,
            "ok": self.is_sound,
            "checks": [found.as_json() for found in self.findings],
        }


def verify(run: Path, images: int) -> Report:
    """Look for every known cause of a low score in a run.

    Args:
        run: its folder, or one of its snapshots.
        images: how many of the list to score on the net is run on.

    Raises:
        SampleError: no run, or one without snapshots.
        ValueError: the run of a classifier, and weights that do not fit.
    """
    trained = Trained.find(run)
    job = trained.job
    if job is None:
        raise SampleError(f"{run}: expected the folder of a run, or a snapshot in one; it has no run.json")
    if job.is_classifier:
        raise ValueError(f"{run}: the run of a classifier, {job.model}; what is verified are FCNs")
    net, data = trained.load(), TrainingData.of(job)
    subject = Subject(net.net, job, job.build("deploy"), _pixels(job.split("train")))
    findings = [
        *check_net(subject),
        *check_inputs(Inputs.look(data) if data else None),
        predictions(net, data.val if data else None, images),
    ]
    return Report(trained.weights, job.model, findings)


def _pixels(split: Split | None) -> float | None:
    """Pixels of the first image of a list; None where it is not there."""
    if split is None or not split.ids:
        return None
    try:
        height, width = read_size(split.folder.image_path(split.ids[0]))
    except (SampleError, OSError):
        return None
    return float(height * width)
