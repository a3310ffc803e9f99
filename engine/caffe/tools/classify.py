"""``classify INPUT OUTPUT``: the scores of images, to an .npy file."""

from __future__ import annotations

import argparse
import glob
import os
import sys
import time
from collections.abc import Sequence

import numpy as np

import caffe

from .._caffe.errors import CaffeError
from .command import command
from .images import add_model_options, model_arguments, whole_numbers


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
    add("--ext", default="jpg", help="extension of a folder's images (default: %(default)s)")
    args = parser.parse_args(argv)

    settings = model_arguments(args)
    dims = whole_numbers(args.images_dim)
    classifier = caffe.Classifier(args.model_def, args.pretrained_model, image_dims=dims, **settings)
    images = load(os.path.expanduser(args.input_file), args.ext)
    print(f"Classifying {len(images)} inputs.")
    start = time.perf_counter()
    predictions = classifier.predict(images, not args.center_only)
    print(f"Done in {time.perf_counter() - start:.2f} s.")
    print(f"Saving results into {args.output_file}")
    np.save(args.output_file, predictions)
    return 0


def load(path: str, extension: str) -> Sequence[np.ndarray]:
    """The images of an .npy, of a folder (in the order of their names), or the one in a file.

    Raises:
        CaffeError: the folder has no images of this extension. OSError: what cannot be read.
    """
    if path.endswith("npy"):
        print(f"Loading file: {path}")
        return list(np.load(path))
    if not os.path.isdir(path):
        print(f"Loading file: {path}")
        return [caffe.io.load_image(path)]
    print(f"Loading folder: {path}")
    names = sorted(glob.glob(os.path.join(glob.escape(path), f"*.{extension}")))
    if not names:
        raise CaffeError(f"there are no *.{extension} in the folder '{path}'; --ext gives another extension")
    return [caffe.io.load_image(name) for name in names]


if __name__ == "__main__":
    sys.exit(main())
