"""Images and messages in and out: loading, resizing, cropping, a net's input format, BlobProto, Datum.

An image is H x W x K, float32, RGB in [0, 1] as `load_image` gives it; what a net reads is K x H x W in the
order, range and mean it was trained with, which a `Transformer` holds.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from ._caffe import proto_dims
from .proto import caffe_pb2

if TYPE_CHECKING:
    from PIL.Image import Image

#: Luminance of linear RGB (ITU-R BT.709).
_LUMINANCE = np.array([0.2125, 0.7154, 0.0721])
#: The largest value of a whole-numbered pixel, by the modes of Pillow that hold more than eight bits.
_WIDE = {"I;16": 65535, "I;16L": 65535, "I;16B": 65535, "I;16N": 65535, "I": 2**31 - 1}


# -- messages -----------------------------------------------------------------------------------------


def blobproto_to_array(blob: caffe_pb2.BlobProto, return_diff: bool = False) -> np.ndarray:
    """The data (or diff) of a BlobProto, float64, in its shape; the four dims of old files are used if set.

    Values kept as doubles (`double_data`) are not read, as in pycaffe.

    Raises:
        ValueError: there are more or fewer values than the shape says.
    """
    return np.array(blob.diff if return_diff else blob.data, np.float64).reshape(proto_dims(blob))


def array_to_blobproto(arr: np.ndarray, diff: np.ndarray | None = None) -> caffe_pb2.BlobProto:
    """A BlobProto of an array of any shape, and of a diff of as many values."""
    blob = caffe_pb2.BlobProto()
    blob.shape.dim.extend(arr.shape)
    blob.data.extend(arr.astype(float).flat)
    if diff is not None:
        blob.diff.extend(diff.astype(float).flat)
    return blob


def arraylist_to_blobprotovector_str(arraylist: Iterable[np.ndarray]) -> bytes:
    """Arrays as a serialized BlobProtoVector."""
    vector = caffe_pb2.BlobProtoVector()
    vector.blobs.extend(array_to_blobproto(arr) for arr in arraylist)
    return vector.SerializeToString()


def blobprotovector_str_to_arraylist(str: bytes) -> list[np.ndarray]:
    """The arrays of a serialized BlobProtoVector.

    Raises:
        DecodeError: the bytes are not one. ValueError: as for `blobproto_to_array`.
    """
    return [blobproto_to_array(blob) for blob in caffe_pb2.BlobProtoVector.FromString(str).blobs]


def array_to_datum(arr: np.ndarray, label: int | None = None) -> caffe_pb2.Datum:
    """A Datum of a C x H x W array: uint8 as bytes, anything else as floats.

    Raises:
        ValueError: the array has not three axes.
    """
    if arr.ndim != 3:
        raise ValueError(f"Incorrect array shape: a Datum holds channels x height x width, not {arr.shape}")
    datum = caffe_pb2.Datum()
    datum.channels, datum.height, datum.width = arr.shape
    if arr.dtype == np.uint8:
        datum.data = arr.tobytes()
    else:
        datum.float_data.extend(arr.astype(float).flat)
    if label is not None:
        datum.label = label
    return datum


def datum_to_array(datum: caffe_pb2.Datum) -> np.ndarray:
    """The C x H x W array of a Datum: uint8 if it holds bytes, else float64.

    Raises:
        ValueError: it holds an encoded image, or not as many values as its dims say.
    """
    if datum.encoded:
        raise ValueError("the Datum holds an encoded image: decode its data with Pillow instead")
    dims = datum.channels, datum.height, datum.width
    if datum.data:
        return np.array(np.frombuffer(datum.data, np.uint8).reshape(dims))
    return np.array(datum.float_data, np.float64).reshape(dims)


# -- images -------------------------------------------------------------------------------------------


def load_image(filename: str | os.PathLike[str] | IO[bytes], color: bool = True) -> np.ndarray:
    """The pixels of an image file as they are stored (an EXIF orientation is not applied).

    Args:
        color: True for H x W x 3 RGB, where a grey image gives three equal channels; False for
            H x W x 1 intensity. Alpha is dropped.

    Returns:
        float32 in [0, 1].

    Raises:
        OSError: no such file, or not an image that Pillow can read.
    """
    from PIL import Image

    try:
        with Image.open(filename) as image:
            pixels = _pixels(image)
    except MemoryError as error:
        raise OSError(f"cannot decode '{filename}': out of memory") from error
    if pixels.ndim == 2:
        return np.repeat(pixels[:, :, np.newaxis], 3 if color else 1, axis=2).astype(np.float32)
    if not color:
        pixels = (pixels @ _LUMINANCE)[:, :, np.newaxis]
    return pixels.astype(np.float32)


def _pixels(image: Image) -> np.ndarray:
    """H x W of a grey image, H x W x 3 of any other, scaled to [0, 1]."""
    if image.mode == "F":
        return np.asarray(image)
    if image.mode in _WIDE:
        # The 16 bits of a PGM, and of a PNG in older versions of Pillow, come in integers of 32.
        top = 65535 if image.format in ("PNG", "PPM") else _WIDE[image.mode]
        return np.asarray(image) / top
    grey = image.mode in ("1", "L", "LA", "La")
    return np.asarray(image.convert("L" if grey else "RGB")) / 255


def resize_image(im: np.ndarray, new_dims: Sequence[int], interp_order: int = 1) -> np.ndarray:
    """An image at another size.

    One and three channels go scikit-image's way: values are stretched to [0, 1], smoothed where the
    image shrinks, interpolated between pixel centres with zeros beyond the edge, and put back. Other
    numbers of channels are interpolated between the corner pixels, without smoothing.

    Args:
        im: H x W x K.
        new_dims: height and width.
        interp_order: 0 nearest, 1 linear, ... 5: the order of the spline.

    Returns:
        float32.

    Raises:
        RuntimeError: `im` has not three axes.
    """
    from scipy.ndimage import zoom

    if im.ndim != 3:
        raise RuntimeError(f"an image is H x W x K, not {im.shape}: add a last axis with im[..., np.newaxis]")
    height, width = (int(dim) for dim in new_dims)
    if im.shape[2] not in (1, 3):
        scale = height / im.shape[0], width / im.shape[1], 1
        return np.asarray(zoom(im, scale, order=interp_order), np.float32)
    low, high = float(im.min()), float(im.max())
    if not high > low:
        return np.full((height, width, im.shape[2]), low, np.float32)
    resized = _resize_unit((im - low) / (high - low), (height, width), interp_order)
    return (resized * (high - low) + low).astype(np.float32)


def _resize_unit(im: np.ndarray, size: tuple[int, int], order: int) -> np.ndarray:
    """scikit-image's `resize(im, size, order, mode='constant')` for values in [0, 1]."""
    from scipy.ndimage import gaussian_filter, zoom

    shrink = np.divide(im.shape[:2], size)
    sigma = np.maximum(0, (shrink - 1) / 2)
    if sigma.any():
        im = gaussian_filter(im, (*sigma, 0), mode="constant")
    resized = zoom(im, (*(1 / shrink), 1), order=order, mode="grid-constant", grid_mode=True)
    return np.asarray(resized.clip(0, 1))


def oversample(
    images: Sequence[np.ndarray] | np.ndarray, crop_dims: Sequence[int] | np.ndarray
) -> np.ndarray:
    """Ten crops of each image: the corners, the centre, and their mirror images.

    Args:
        images: n images H x W x K, all of the first one's size.
        crop_dims: height and width of a crop.

    Returns:
        10n x height x width x K, float32: of each image top left, top right, bottom left, bottom right,
        centre, then the same five mirrored left to right.

    Raises:
        ValueError: a crop does not fit into an image. IndexError: no images.
    """
    height, width = (int(dim) for dim in crop_dims)
    full_height, full_width, channels = images[0].shape
    bottom, right = full_height - height, full_width - width
    if bottom < 0 or right < 0:
        raise ValueError(f"crops {height, width} do not fit into images {full_height, full_width}")
    corners = (0, 0), (0, right), (bottom, 0), (bottom, right), (bottom // 2, right // 2)
    crops = np.empty((len(images), 2, 5, height, width, channels), np.float32)
    for image, (plain, mirrored) in zip(images, crops):
        for crop, (y, x) in zip(plain, corners):
            crop[...] = image[y : y + height, x : x + width]
        mirrored[...] = plain[:, :, ::-1]
    return crops.reshape(-1, height, width, channels)


# -- a net's input ------------------------------------------------------------------------------------


class Transformer:
    """Turns images into what a net's inputs expect, and back.

    Args:
        inputs: shape (N, C, H, W) of each input by name, as `{'data': net.blobs['data'].data.shape}`.

    Every method raises Exception for a name that is not in `inputs`. The settings are dictionaries by
    input name: `transpose`, `channel_swap`, `raw_scale`, `mean`, `input_scale`.
    """

    def __init__(self, inputs: Mapping[str, Sequence[int]]) -> None:
        self.inputs = inputs
        self.transpose: dict[str, Sequence[int]] = {}
        self.channel_swap: dict[str, Sequence[int]] = {}
        self.raw_scale: dict[str, float] = {}
        self.mean: dict[str, np.ndarray] = {}
        self.input_scale: dict[str, float] = {}

    def _check_input(self, in_: str) -> None:
        if in_ not in self.inputs:
            raise Exception(f"{in_} is not one of the net inputs: {self.inputs}")

    def _settings(self, in_: str) -> tuple[Any, Any, Any, Any, Any]:
        """transpose, channel_swap, raw_scale, mean, input_scale; None where it is not set or set to None."""
        return (
            self.transpose.get(in_),
            self.channel_swap.get(in_),
            self.raw_scale.get(in_),
            self.mean.get(in_),
            self.input_scale.get(in_),
        )

    def preprocess(self, in_: str, data: np.ndarray) -> np.ndarray:
        """An image H x W x K as input `in_` wants it: float32, K x H x W if the axes are transposed.

        In this order: resize to the input's size, transpose, swap channels, times `raw_scale`, minus the
        mean, times `input_scale`. As in pycaffe, `data` itself may be changed if it is float32, needs no
        resizing and no swap: pass a copy to keep it.
        """
        self._check_input(in_)
        image = data.astype(np.float32, copy=False)
        size = tuple(self.inputs[in_][2:])
        if image.shape[:2] != size:
            image = resize_image(image, size)
        transpose, channel_swap, raw_scale, mean, input_scale = self._settings(in_)
        if transpose is not None:
            image = image.transpose(transpose)
        if channel_swap is not None:
            image = image[list(channel_swap)]
        if raw_scale is not None:
            image *= raw_scale
        if mean is not None:
            image -= mean
        if input_scale is not None:
            image *= input_scale
        return image

    def deprocess(self, in_: str, data: np.ndarray) -> np.ndarray:
        """What `preprocess` did, undone step by step but for the size: a new image H x W x K.

        Args:
            data: K x H x W; axes of length one are dropped first.
        """
        self._check_input(in_)
        image: np.ndarray = data.copy().squeeze()
        transpose, channel_swap, raw_scale, mean, input_scale = self._settings(in_)
        if input_scale is not None:
            image /= input_scale
        if mean is not None:
            image += mean
        if raw_scale is not None:
            image /= raw_scale
        if channel_swap is not None:
            image = image[np.argsort(channel_swap)]
        if transpose is not None:
            image = image.transpose(np.argsort(transpose))
        return image

    def set_transpose(self, in_: str, order: Sequence[int]) -> None:
        """Set the order of the axes: (2, 0, 1) makes K x H x W of H x W x K.

        Raises:
            Exception: not one index for each axis of an image.
        """
        self._check_input(in_)
        axes = len(self.inputs[in_]) - 1
        if len(order) != axes:
            raise Exception(f"Transpose order needs the input's {axes} dimensions (no batch): got {order}")
        self.transpose[in_] = order

    def set_channel_swap(self, in_: str, order: Sequence[int]) -> None:
        """Set the order of the channels, which are axis 0 by then: (2, 1, 0) makes BGR of RGB.

        Raises:
            Exception: not one index for each channel.
        """
        self._check_input(in_)
        channels = self.inputs[in_][1]
        if len(order) != channels:
            raise Exception(f"Channel swap needs one index for each of {channels} channels: got {order}")
        self.channel_swap[in_] = order

    def set_raw_scale(self, in_: str, scale: float) -> None:
        """Set the factor before the mean is subtracted: 255 if the net was trained on 0 to 255."""
        self._check_input(in_)
        self.raw_scale[in_] = scale

    def set_mean(self, in_: str, mean: np.ndarray) -> None:
        """Set what is subtracted, in the net's channel order and range (after `raw_scale`).

        Args:
            mean: (C,), one value a channel; or C x H x W, resized if its size is not the input's; or
                H x W for an input of one channel and that size.

        Raises:
            ValueError: the mean does not fit the input. AttributeError: it is no array.
        """
        self._check_input(in_)
        if not isinstance(mean, np.ndarray):
            raise AttributeError(f"the mean has to be an array, not {type(mean).__name__}: np.array(mean)")
        self.mean[in_] = self._fit_mean(mean, tuple(self.inputs[in_][1:]))

    @staticmethod
    def _fit_mean(mean: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        if mean.ndim == 1:
            if len(mean) != shape[0]:
                raise ValueError(f"Mean channels incompatible with input: {len(mean)}, not {shape[0]}")
            return mean[:, np.newaxis, np.newaxis]
        if mean.ndim not in (2, 3) or (mean.ndim == 2 and (1, *mean.shape) != shape):
            raise ValueError(f"Mean shape invalid: {mean.shape} for an input of {shape}")
        if mean.ndim == 2 or mean.shape == shape:
            return mean
        return np.transpose(resize_image(mean.transpose(1, 2, 0), shape[1:]), (2, 0, 1))

    def set_input_scale(self, in_: str, scale: float) -> None:
        """Set the factor after the mean is subtracted."""
        self._check_input(in_)
        self.input_scale[in_] = scale
