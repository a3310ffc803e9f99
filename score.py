"""Score nets: the reference release's functions, and `python score.py RUN`, which is `fcn score`.

`seg_tests(solver, ...)` and `do_seg_tests(net, ...)` score a net that has its own data layer, and print.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime

import numpy as np

from fcn.commands import score as command
from fcn.protocols import NetLike, SolverLike
from fcn.score import Scores, compute_hist, fast_hist

__all__ = ["compute_hist", "do_seg_tests", "fast_hist", "main", "seg_tests"]


def seg_tests(
    solver: SolverLike,
    save_format: str | None,
    dataset: Sequence[str],
    layer: str = "score",
    gt: str = "label",
) -> np.ndarray:
    """Score `solver`'s first test net with the weights it is training; see `do_seg_tests`."""
    print(">>>", datetime.now(), "Begin seg tests")
    solver.test_nets[0].share_with(solver.net)
    return do_seg_tests(solver.test_nets[0], solver.iter, save_format, dataset, layer, gt)


def do_seg_tests(  # noqa: PLR0913  the reference release's own
    net: NetLike,
    iter: int,
    save_format: str | None,
    dataset: Sequence[str],
    layer: str = "score",
    gt: str = "label",
    loss: str | None = "loss",
) -> np.ndarray:
    """Run `net` over its data set, print the loss and the four metrics, and return the histogram.

    Args:
        net: a `caffe.Net` that reads the images named in `dataset` in that order.
        save_format: folder for the predictions, `{}` in it becomes `iter`; None or '' saves none.
        layer, gt, loss: blobs of the net; without `loss` none is printed.
    """
    folder = save_format.format(iter) if save_format else None
    hist, mean_loss = compute_hist(net, folder, dataset, layer, gt, loss)
    lines = {**({"loss": mean_loss} if loss else {}), **Scores(hist).means()}
    for name, value in lines.items():
        print(">>>", datetime.now(), "Iteration", iter, name, value)
    return hist


def main(argv: Sequence[str] | None = None) -> int:
    """Score what the arguments name; returns the exit status."""
    return command.main(argv, "score.py")


if __name__ == "__main__":
    sys.exit(main())
