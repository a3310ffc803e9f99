"""``detect INPUT OUTPUT``: the scores of image windows, to a .csv or .h5 file."""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .._caffe.errors import CaffeError
from .._caffe.formats.files import replacing
from .command import check_output, command, mistakes_of_the_user
from .frame import COORDINATES, write_frame
from .images import add_model_options, model_arguments

if TYPE_CHECKING:
    from ..detector import Detector


@command
def main(argv: Sequence[str]) -> int:
    """Score windows and save file name, window and scores of each.

    Raises:
        CaffeError: the model, its mean file, the windows or the images cannot be read, or files of
            another kind than those below are named.
    """
    parser = argparse.ArgumentParser("detect", description="The scores of image windows.")
    add = parser.add_argument
    add("input_file", help="a .txt of image names, or a .csv of filename, xmin, ymin, xmax, ymax")
    add("output_file", help="a .csv (filename, window, class0, ..), or an .h5 with a frame that "
        "pandas.read_hdf(FILE, 'df') reads")  # fmt: skip
    add_model_options(parser, "bvlc_reference_rcnn_ilsvrc13")
    add("--crop_mode", choices=("list", "selective_search"), default="selective_search",
        help="windows from the .csv, or proposed (default: %(default)s)")  # fmt: skip
    add("--context_pad", type=int, default=16, help="pixels around a window (default: %(default)s)")
    args = parser.parse_args(argv)
    _check_kinds(args)

    check_output(args.output_file, args.input_file, args.model_def, args.pretrained_model, args.mean_file)
    settings = model_arguments(args)
    if settings["mean"] is not None:
        settings["mean"] = channel_means(settings["mean"])
    detections = _detect(args, settings)
    if args.output_file.lower().endswith("csv"):
        _write_csv(args.output_file, detections)
    else:
        windows = np.array([found["window"] for found in detections])
        predictions = [found["prediction"] for found in detections]
        write_frame(args.output_file, [found["filename"] for found in detections], windows, predictions)
    print(f"Saved to {args.output_file}")
    return 0


def _detect(args: argparse.Namespace, settings: dict[str, Any]) -> list[dict[str, Any]]:
    from ..detector import Detector

    print("Loading input...")
    windows = read_windows(args.input_file) if args.crop_mode == "list" else {}
    with mistakes_of_the_user():
        detector = Detector(args.model_def, args.pretrained_model, context_pad=args.context_pad, **settings)
        start = time.perf_counter()
        if args.crop_mode == "list":
            detections = detector.detect_windows(windows.items())
        else:
            detections = _propose(detector, args.input_file)
    print(f"Processed {len(detections)} windows in {time.perf_counter() - start:.3f} s.")
    return detections


def channel_means(mean: np.ndarray) -> np.ndarray:
    """The means of a mean image's channels, (K,): what windows of any size are given."""
    means: np.ndarray = mean.reshape(len(mean), -1).mean(1)
    return means


def _check_kinds(args: argparse.Namespace) -> None:
    if not args.input_file.lower().endswith(("txt", "csv")):
        raise CaffeError(f"Unknown input file type: '{args.input_file}' is neither .txt nor .csv")
    if not args.output_file.lower().endswith(("h5", "csv")):
        raise CaffeError(f"Unknown output file type: '{args.output_file}' is neither .h5 nor .csv")
    if args.crop_mode == "list" and args.input_file.lower().endswith("txt"):
        raise CaffeError(f"--crop_mode list needs windows: '{args.input_file}' has names only; give a .csv")


def _propose(detector: Detector, path: str) -> list[dict[str, Any]]:
    try:
        return detector.detect_selective_search(_read_names(path))
    except ImportError as error:
        raise CaffeError(f"{error}; or give them with --crop_mode list") from error


def _read_names(path: str) -> list[str]:
    if path.lower().endswith("csv"):
        return list(read_windows(path))
    with open(path, encoding="utf-8-sig") as file:
        return [line.strip() for line in file if line.strip()]


def read_windows(path: str) -> dict[str, list[list[float]]]:
    """The windows (ymin, xmin, ymax, xmax) of each image in a .csv.

    Raises:
        CaffeError: a column is missing, or a coordinate is no number.
    """
    windows: dict[str, list[list[float]]] = {}
    with open(path, newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file)
        missing = {"filename", *COORDINATES} - set(rows.fieldnames or ())
        if missing:
            raise CaffeError(f"'{path}' has no column {', '.join(sorted(missing))} in its first line")
        for row in rows:
            try:
                window = [float(row[name]) for name in COORDINATES]
            except (TypeError, ValueError):
                where = f"{path}:{rows.line_num}"
                raise CaffeError(f"{where}: the coordinates are four numbers, not {row}") from None
            windows.setdefault(row["filename"], []).append(window)
    return windows


def _write_csv(path: str, detections: Sequence[dict[str, Any]]) -> None:
    classes = [f"class{k}" for k in range(detections[0]["prediction"].size)]
    with replacing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["filename", *COORDINATES, *classes])
        for found in detections:
            scores = found["prediction"].ravel().tolist()
            writer.writerow([found["filename"], *map(float, found["window"]), *scores])


if __name__ == "__main__":
    sys.exit(main())
