"""``classify INPUT OUTPUT``: the scores of images, to an .npy file."""

from __future__ import annotations

import argparse
import io as streams
import os
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import io
from .._caffe.errors import CaffeError
from .command import check_output, command, mistakes_of_the_user, write_file
from .images import add_model_options, load_array, model_arguments, whole_numbers


@command
def main(argv: Sequence[str]) -> int:
    """Classify and save the scores, one row per image.

    Raises:
        CaffeError: the model, its mean file or the images cannot be read.
    """
    parser = argparse.ArgumentParser("classify", description="The scores of images.")
    add = parser.add_argument
    add("input_file", help="an image, a folder, or images N x H x W x K in an .npy")
    add("output_file", help="the scores, as .npy")
    add_model_options(parser, "bvlc_reference_caffenet")
    add("--center_only", action="store_true", help="score the centre crop, not the mean of ten crops")
    add("--images_dim", default="256,256", help="height,width to resize to (default: %(default)s)")
    add("--ext", default="jpg", help="extension of a folder's images, in any case (default: %(default)s)")
    args = parser.parse_args(argv)

    target = args.output_file if args.output_file.endswith(".npy") else f"{args.output_file}.npy"
    check_output(target, args.input_file, args.model_def, args.pretrained_model, args.mean_file)
    settings = model_arguments(args)
    predictions = _predict(args, settings)
    print(f"Saving results into {args.output_file}")
    write_file(target, _npy(predictions))
    return 0


def _predict(args: argparse.Namespace, settings: dict[str, Any]) -> np.ndarray:
    from ..classifier import Classifier

    dims = whole_numbers(args.images_dim)
    if len(dims) != 2 or min(dims) < 1:
        raise CaffeError(f"--images_dim {args.images_dim}: height,width are needed, each 1 or more")
    with mistakes_of_the_user():
        classifier = Classifier(args.model_def, args.pretrained_model, image_dims=dims, **settings)
        images = load(os.path.expanduser(args.input_file), args.ext)
        print(f"Classifying {len(images)} inputs.")
        start = time.perf_counter()
        predictions = classifier.predict(images, not args.center_only)
    print(f"Done in {time.perf_counter() - start:.2f} s.")
    return predictions


def _npy(array: np.ndarray) -> bytes:
    """An array in NumPy's format."""
    buffer = streams.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def load(path: str, extension: str) -> Sequence[np.ndarray]:
    """The images of an .npy, of a folder (in the order of their names), or the one in a file.

    Raises:
        CaffeError: the folder has no images of this extension. OSError: what cannot be read.
    """
    if path.endswith("npy"):
        print(f"Loading file: {path}")
        return list(load_array(path))
    if not os.path.isdir(path):
        print(f"Loading file: {path}")
        return [io.load_image(path)]
    print(f"Loading folder: {path}")
    there = sorted(name for name in os.listdir(path) if not name.startswith("."))
    names = [name for name in there if name.lower().endswith(f".{extension.lower()}")]
    if not names:
        others = sorted({os.path.splitext(name)[1][1:].lower() for name in there} - {""})
        hint = f"; it has {', '.join(others)}" if others else ""
        raise CaffeError(
            f"there are no *.{extension} in the folder '{path}'{hint}; --ext gives another extension"
        )
    return [io.load_image(os.path.join(path, name)) for name in names]


if __name__ == "__main__":
    sys.exit(main())
