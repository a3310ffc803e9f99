"""Datum: an image, or an array of floats, with its label, as databases hold them."""

from __future__ import annotations

import math
import os

import numpy as np
from google.protobuf.message import DecodeError

from ...proto.caffe_pb2 import Datum, TransformationParameter
from ..errors import DataError
from . import images


def parse(data: bytes, what: str) -> Datum:
    """The Datum in `data`.

    Raises:
        DataError: it is something else; `what` names it.
    """
    try:
        return Datum.FromString(data)
    except DecodeError as error:
        raise DataError(f"{what} is not a Datum: {error}") from error


def pixels(datum: Datum, what: str, param: TransformationParameter | None = None) -> np.ndarray:
    """The values, (C, H, W): uint8, or float32 where `float_data` holds them. Images are BGR.

    Args:
        param: its `force_color` and `force_gray` say how to decode an image; without them it keeps the
            channels it has. They do nothing to values that are not encoded.

    Raises:
        DataError: the image cannot be decoded, or the number of values is not C x H x W.
    """
    if datum.encoded:
        image = images.decode(datum.data, _mode(param), what)
        planes: np.ndarray = image.transpose(2, 0, 1)
        return planes
    shape = (datum.channels, datum.height, datum.width)
    data = datum.data
    values = np.frombuffer(data, np.uint8) if data else np.array(datum.float_data, np.float32)
    if min(shape) < 1 or values.size != math.prod(shape):
        kind = "data" if data else "float_data"
        raise DataError(f"{what}: {values.size} values in {kind} for {shape} (C, H, W)")
    return values.reshape(shape)


def _mode(param: TransformationParameter | None) -> images.Mode:
    if param is None or not (param.force_color or param.force_gray):
        return "stored"
    if param.force_color and param.force_gray:
        raise DataError("cannot set both force_color and force_gray in transform_param")
    return "color" if param.force_color else "gray"


def from_image(image: np.ndarray, label: int = 0) -> Datum:
    """A Datum of the raw pixels of an (H, W, C) uint8 image."""
    height, width, channels = image.shape
    data = np.ascontiguousarray(image.transpose(2, 0, 1)).tobytes()
    return Datum(channels=channels, height=height, width=width, data=data, label=label, encoded=False)


def from_values(values: np.ndarray) -> Datum:
    """A Datum of (C, H, W) numbers in `float_data`, without a label."""
    channels, height, width = values.shape
    return Datum(channels=channels, height=height, width=width, float_data=values.ravel().tolist())


def from_file(
    path: str, label: int = 0, height: int = 0, width: int = 0, color: bool = True, encoding: str = ""
) -> Datum:
    """A Datum of an image file (Caffe's ReadImageToDatum).

    Args:
        height, width: resize to this, if both are given.
        encoding: empty for raw pixels; else a format such as ``jpg``. A file that is in this format and
            need not be changed is stored byte for byte.

    Raises:
        DataError: the image cannot be read or encoded.
    """
    image = images.read(path, color, height, width)
    if not encoding:
        return from_image(image, label)
    if (image.shape[2] == 3) == color and not height and not width and _same_format(path, encoding):
        with open(path, "rb") as file:
            return Datum(data=file.read(), label=label, encoded=True)
    return Datum(data=images.encode(image, encoding), label=label, encoded=True)


def _same_format(path: str, encoding: str) -> bool:
    jpeg = {"jpg", "jpeg"}
    found, wanted = os.path.splitext(path)[1][1:].lower(), encoding.lower().lstrip(".")
    return found == wanted or {found, wanted} <= jpeg
