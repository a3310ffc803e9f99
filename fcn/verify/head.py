"""Whether the head can say anything: deconvolutions that interpolate, scores that are not dead."""

from __future__ import annotations

import numpy as np

import surgery

from .finding import Finding
from .subject import Subject

BILINEAR, SCORES = "deconvolutions", "score layers"


def bilinear(subject: Subject) -> Finding:
    """Every Deconvolution interpolates; one that learns has to start so, and may move."""
    layers = subject.learned("Deconvolution")
    if not layers:
        return Finding.unknown(BILINEAR, "the net has none")
    moved = [name for name in layers if not surgery.interpolates(subject.net.params[name][0].data)]
    wrong = [name for name in moved if not (layers[name] and subject.is_trained)]
    if wrong:
        said = ", ".join(f"{name} ({_off(subject.net.params[name][0].data)})" for name in wrong)
        return Finding.failed(
            BILINEAR, f"not bilinear: {said}", "fill them by surgery.interp(net, layers), and train again"
        )
    learned = f"; learned: {', '.join(moved)}" if moved else ""
    return Finding.passed(BILINEAR, f"{len(layers) - len(moved)} of {len(layers)} bilinear{learned}")


def _off(weights: np.ndarray) -> str:
    if not weights.any():
        return "all zero"
    return f"{np.count_nonzero(weights)} of {weights.size} values are not 0"


def scores(subject: Subject) -> Finding:
    """Every layer of scores has learned something, for every class."""
    names = [name for name in subject.net.params if name.startswith("score")]
    if not names or not subject.is_trained:
        return Finding.unknown(
            SCORES, "none in the net" if not names else "at zero before training, as meant"
        )
    rows = {name: _dead(subject.net.params[name][0].data) for name in names}
    zero = [name for name, (dead, count) in rows.items() if dead == count]
    part = [f"{name}: {dead} of {count} classes all zero" for name, (dead, count) in rows.items() if dead]
    if zero:
        return Finding.failed(
            SCORES,
            f"all zero: {', '.join(zero)}; every class scores alike there, and class 0 wins: black output",
            "the gradient never came: see the rows on the rate, the loss and the labels; and train longer",
        )
    if part:
        return Finding.failed(
            SCORES, "; ".join(part), "these classes are in no label that was seen: fcn data check counts them"
        )
    sizes = (f"{name} up to {np.abs(subject.net.params[name][0].data).max():.2g}" for name in names)
    return Finding.passed(SCORES, ", ".join(sizes))


def _dead(weights: np.ndarray) -> tuple[int, int]:
    """How many classes have no weight that is not zero, of how many."""
    return int((~weights.reshape(len(weights), -1).any(1)).sum()), len(weights)
