"""What `classify` and `detect` share: the options that say how a network wants its images."""

from __future__ import annotations

import argparse
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from .. import _caffe, io
from .._caffe.errors import CaffeError
from .._caffe.log import log
from ..proto.caffe_pb2 import BlobProto
from .command import device_wish

#: How the files start that NumPy reads without unpickling.
_NPY, _ZIP = b"\x93NUMPY", b"PK\x03\x04\x00\x00"
_MODEL = os.path.join("models", "{0}", "deploy.prototxt"), os.path.join("models", "{0}", "{0}.caffemodel")
#: The mean file of the package, which is used where none is named, as in Caffe.
MEAN = str(Path(__file__).resolve().parents[1] / "imagenet" / "ilsvrc_2012_mean.npy")


def add_model_options(parser: argparse.ArgumentParser, model: str) -> None:
    """Add the options; `model` is the folder under models/ where the defaults lie."""
    definition, weights = (path.format(model) for path in _MODEL)
    add = parser.add_argument
    add("--model_def", default=definition, help="network prototxt (default: %(default)s)")
    add("--pretrained_model", default=weights, help="caffemodel (default: %(default)s)")
    add("--gpu", action="store_true", help="compute on the GPU")
    add("--mean_file", default=MEAN, help="mean image, K x H x W, as .npy or .binaryproto; '' is none "
        "(default: %(default)s, which holds the means of ImageNet's channels)")  # fmt: skip
    add("--input_scale", type=float, help="factor after the mean is subtracted (default: none)")
    add("--raw_scale", type=float, default=255.0, help="factor before that (default: %(default)s)")
    add("--channel_swap", default="2,1,0", help="order of the channels, '' keeps it (default: %(default)s)")


def model_arguments(args: argparse.Namespace) -> dict[str, Any]:
    """The keyword arguments that Classifier and Detector share; chooses the device too.

    Raises:
        CaffeError: there is no such mean file, or the channel order is not whole numbers.
    """
    if args.gpu:
        with device_wish("--gpu", "leave it out to compute on the CPU"):
            _caffe.set_mode_gpu()
        print("GPU mode")
    else:
        _caffe.set_mode_cpu()
        print("CPU mode")
    return {
        "mean": read_mean(args.mean_file) if args.mean_file else None,
        "input_scale": args.input_scale,
        "raw_scale": args.raw_scale,
        "channel_swap": _channel_order(args.channel_swap) if args.channel_swap else None,
    }


def _channel_order(text: str) -> list[int]:
    order = whole_numbers(text)
    if sorted(order) != list(range(len(order))):
        raise CaffeError(f"--channel_swap {text}: each channel is named once, such as 2,1,0")
    return order


def read_mean(path: str) -> np.ndarray:
    """The mean image of an .npy, or of a .binaryproto as compute_image_mean writes it, (K, H, W).

    Warns where it is the package's own file, which holds one value a channel.

    Raises:
        CaffeError: there is no such file, or it is of another kind.
    """
    if not os.path.exists(path):
        raise CaffeError(f"there is no mean file '{path}': --mean_file names another, --mean_file '' none")
    mean = _read_binaryproto(path) if path.endswith(".binaryproto") else load_array(path)
    if path == MEAN and (mean == mean[:, :1, :1]).all():
        log.warning(
            "Subtracting the means of ImageNet's channels, not the mean image of ILSVRC 2012, "
            "which is not part of this package: --mean_file names another"
        )
    return mean


def _read_binaryproto(path: str) -> np.ndarray:
    with open(path, "rb") as file:
        try:
            array = io.blobproto_to_array(BlobProto.FromString(file.read()))
        except (DecodeError, ValueError) as error:
            raise CaffeError(f"'{path}' is not a mean file: {error}") from error
    return array.reshape(array.shape[-3:])


def load_array(path: str) -> np.ndarray:
    """The array in an .npy.

    Raises:
        CaffeError: it holds something else. OSError: it cannot be opened.
    """
    with open(path, "rb") as file:
        is_numpys = file.read(len(_NPY)) in (_NPY, _ZIP)
    try:
        found = np.load(path) if is_numpys else None
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise CaffeError(f"'{path}' is a damaged array in NumPy's format (.npy): {error}") from error
    if found is None:
        raise CaffeError(f"'{path}' is not an array in NumPy's format (.npy)")
    if not isinstance(found, np.ndarray):
        raise CaffeError(f"'{path}' is an archive of arrays (.npz); one array is needed, in an .npy")
    return found


def whole_numbers(text: str) -> list[int]:
    """The numbers in `256,256`.

    Raises:
        CaffeError: they are not whole numbers separated by commas.
    """
    try:
        return [int(word) for word in text.split(",")]
    except ValueError:
        raise CaffeError(f"'{text}': whole numbers separated by commas are needed") from None
