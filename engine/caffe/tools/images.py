"""What `classify` and `detect` share: the options that say how a network wants its images."""

from __future__ import annotations

import argparse
import os
from typing import Any

import numpy as np

import caffe

from .._caffe.errors import CaffeError

_MODEL = os.path.join("models", "{0}", "deploy.prototxt"), os.path.join("models", "{0}", "{0}.caffemodel")
_MEAN = "ilsvrc_2012_mean.npy"


def add_model_options(parser: argparse.ArgumentParser, model: str) -> None:
    """Add the options; `model` is the folder under models/ where the defaults lie."""
    definition, weights = (path.format(model) for path in _MODEL)
    add = parser.add_argument
    add("--model_def", default=definition, help="network prototxt (default: %(default)s)")
    add("--pretrained_model", default=weights, help="caffemodel (default: %(default)s)")
    add("--gpu", action="store_true", help="compute on the GPU")
    add("--mean_file", default=_MEAN, help="mean image, K x H x W, as .npy or .binaryproto; '' is none "
        "(default: %(default)s)")  # fmt: skip
    add("--input_scale", type=float, help="factor after the mean is subtracted (default: none)")
    add("--raw_scale", type=float, default=255.0, help="factor before that (default: %(default)s)")
    add("--channel_swap", default="2,1,0", help="order of the channels, '' keeps it (default: %(default)s)")


def model_arguments(args: argparse.Namespace) -> dict[str, Any]:
    """The keyword arguments that Classifier and Detector share; chooses the device too.

    Raises:
        CaffeError: there is no such mean file, or the channel order is not whole numbers.
    """
    if args.gpu:
        caffe.set_mode_gpu()
        print("GPU mode")
    else:
        caffe.set_mode_cpu()
        print("CPU mode")
    return {
        "mean": read_mean(args.mean_file) if args.mean_file else None,
        "input_scale": args.input_scale,
        "raw_scale": args.raw_scale,
        "channel_swap": whole_numbers(args.channel_swap) if args.channel_swap else None,
    }


def read_mean(path: str) -> np.ndarray:
    """The mean image of an .npy, or of a .binaryproto as compute_image_mean writes it, (K, H, W).

    Raises:
        CaffeError: there is no such file.
    """
    if not os.path.exists(path):
        raise CaffeError(f"there is no mean file '{path}': --mean_file names another, --mean_file '' none")
    if not path.endswith(".binaryproto"):
        mean: np.ndarray = np.load(path)
        return mean
    with open(path, "rb") as file:
        blob = caffe.proto.caffe_pb2.BlobProto.FromString(file.read())
    array = caffe.io.blobproto_to_array(blob)
    return array.reshape(array.shape[-3:])


def whole_numbers(text: str) -> list[int]:
    """The numbers in `256,256`.

    Raises:
        CaffeError: they are not whole numbers separated by commas.
    """
    try:
        return [int(word) for word in text.split(",")]
    except ValueError:
        raise CaffeError(f"'{text}': whole numbers separated by commas are needed") from None
