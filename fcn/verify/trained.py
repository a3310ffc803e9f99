"""The checks of a net, before its first step and after its last."""

from __future__ import annotations

from . import head, rate, trunk
from .finding import Finding
from .subject import Subject


def check_net(subject: Subject) -> list[Finding]:
    """What can be known of a net by its parameters and its job.

    Raises:
        ValueError: a file it started from that cannot be read.
    """
    checks = (
        trunk.base_weights,
        trunk.transplanted,
        trunk.filled,
        head.bilinear,
        head.scores,
        rate.stage_rate,
        rate.loss_and_rate,
    )
    return [check(subject) for check in checks]


def check_start(subject: Subject) -> list[Finding]:
    """The same for a net about to be trained; of a classifier, only whether its layers are filled."""
    return [trunk.filled(subject)] if subject.job.is_classifier else check_net(subject)
