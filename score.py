"""Score a run, weights, or saved predictions against labels.

    python score.py runs/voc-fcn8s --voc-dir data/pascal/VOC2011
    python score.py fcn8s-heavy-pascal.caffemodel --model voc-fcn8s --voc-dir data/pascal/VOC2011
    python score.py predictions/ --voc-dir data/pascal/VOC2011 --split seg11valid
    python score.py predictions/ --labels labels/ --classes classes.txt

In Python: `seg_tests(solver, ...)` and `do_seg_tests(net, ...)` score a net that has its own data layer.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from fcn.evaluate import compute_hist
from fcn.metrics import Scores, fast_hist
from fcn.scoring import score_target

__all__ = ["compute_hist", "do_seg_tests", "fast_hist", "main", "seg_tests"]


def seg_tests(
    solver: Any, save_format: str | None, dataset: Sequence[str], layer: str = "score", gt: str = "label"
) -> np.ndarray:
    """Score `solver`'s first test net with the weights it is training; see `do_seg_tests`."""
    print(">>>", datetime.now(), "Begin seg tests")
    solver.test_nets[0].share_with(solver.net)
    return do_seg_tests(solver.test_nets[0], solver.iter, save_format, dataset, layer, gt)


def do_seg_tests(
    net: Any,
    iter: int,
    save_format: str | None,
    dataset: Sequence[str],
    layer: str = "score",
    gt: str = "label",
    loss: str | None = "loss",
) -> np.ndarray:
    """Run `net` over its data set, print the loss and the four metrics, and return the histogram.

    net: a `caffe.Net` that reads the images named in `dataset` in that order; layer, gt, loss: its blobs.
    save_format: folder for the predictions, `{}` in it becomes `iter`; None or '' saves none.
    """
    folder = save_format.format(iter) if save_format else None
    hist, mean_loss = compute_hist(net, folder, dataset, layer, gt, loss)
    lines = {**({"loss": mean_loss} if loss else {}), **Scores(hist).means()}
    for name, value in lines.items():
        print(">>>", datetime.now(), "Iteration", iter, name, value)
    return hist


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="score.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("target", type=Path, help="a run's folder, a weights file, or a folder of PNGs")
    data = parser.add_argument_group("what to score against")
    data.add_argument("--voc-dir", "--data", type=Path, help="in VOC layout (default: the run's own)")
    data.add_argument("--split", help="of ImageSets/Segmentation (default: seg11valid if there, else val)")
    data.add_argument("--labels", type=Path, help="folder of label PNGs instead of --voc-dir")
    data.add_argument("--classes", type=Path, help="class names for --labels (default: PASCAL VOC's)")
    data.add_argument("--limit", type=int, help="score the first N images only")
    data.add_argument("--sbd-dir", type=Path, help="warn of images trained on (default: the run's list)")
    net = parser.add_argument_group("the net")
    net.add_argument("--net", type=Path, help="deploy prototxt (default: the run's)")
    net.add_argument("--model", help="model id: builds the net, names the published rows to print")
    device = net.add_mutually_exclusive_group()
    device.add_argument("--gpu", type=int, help="which GPU to run on")
    device.add_argument("--cpu", action="store_true", help="run on the CPU (default)")
    parser.add_argument("--save", type=Path, metavar="DIR", help="write the predictions as palette PNGs")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="write score.txt, .json, .csv and confusion.csv (default for a run: score-SPLIT in its folder)",
    )
    parser.add_argument("--format", choices=("text", "json", "csv"), default="text", help="what to print")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    args = parse(argv)
    try:
        report, out = score_target(args)
    except (ValueError, RuntimeError) as error:
        print(f"score.py: {error}", file=sys.stderr)
        return 1
    print({"text": report.text, "json": report.json, "csv": report.csv}[args.format](), end="")
    if out:
        print(f"written to {report.write(out)}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
