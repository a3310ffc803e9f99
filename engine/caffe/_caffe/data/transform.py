"""From an image to the numbers of a blob: crop, mirror, mean, scale (Caffe's DataTransformer)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...proto import caffe_pb2
from ..errors import BlobError, DataError
from ..formats.blobproto import proto_array
from ..formats.proto_io import read_binary
from ..log import log
from .shuffle import Random


class Mean:
    """What is subtracted: an image (`mean_file`), one number or one a channel (`mean_value`), or nothing."""

    #: (C, H, W) from a file, (C or 1, 1, 1) from numbers, or None; float32
    values: np.ndarray | None = None

    def __init__(self, param: caffe_pb2.TransformationParameter) -> None:
        """Raises DataError for both kinds, or a file that holds no mean; ParseError if it cannot be read."""
        self.path = param.mean_file
        self.is_image = param.HasField("mean_file")
        if self.is_image and param.mean_value:
            raise DataError(
                "Cannot specify mean_file and mean_value at the same time in transform_param: keep one"
            )
        if self.is_image:
            self.values = self._read()
        elif param.mean_value:
            self.values = np.array(param.mean_value, np.float32).reshape(-1, 1, 1)

    def _read(self) -> np.ndarray:
        log.info("Loading mean file from: %s", self.path)
        try:
            array = proto_array(read_binary(self.path, caffe_pb2.BlobProto())).astype(np.float32)
        except BlobError as error:
            raise DataError(f"mean_file '{self.path}' does not hold a mean: {error}") from error
        if array.ndim > 4 or not array.size:
            raise DataError(f"mean_file '{self.path}' has shape {array.shape}; it must be (1, C, H, W)")
        mean: np.ndarray = array.reshape(array.shape + (1,) * (4 - array.ndim))[0]
        return mean

    def check_channels(self, channels: int) -> None:
        """Raise DataError unless there is one number, or one per channel."""
        if self.values is not None and not self.is_image and len(self.values) not in (1, channels):
            raise DataError(
                f"Specify either 1 mean_value or as many as channels: {channels}, not {len(self.values)}"
            )

    def check_image(self, shape: tuple[int, ...], what: str) -> None:
        """Raise DataError unless the mean fits images of (C, H, W) `shape`, before they are cropped."""
        if self.is_image and self.values is not None and self.values.shape != shape:
            raise DataError(
                f"mean_file '{self.path}' is {self.values.shape}, {what} is {shape} (C, H, W; before "
                "cropping): they must agree. Resize the images, or give mean_value in place of mean_file"
            )
        self.check_channels(shape[0])


class Transformer:
    """Applies a `transform_param` to one image after another.

    Numbers are drawn for each image in this order: mirror, row, column.

    Raises:
        DataError, ParseError: see `Mean`.
    """

    def __init__(self, param: caffe_pb2.TransformationParameter, phase: int) -> None:
        self.param, self.mean = param, Mean(param)
        self._crops_at_random = bool(param.crop_size) and phase == caffe_pb2.TRAIN
        self._random = Random() if param.mirror or self._crops_at_random else None

    def shape(self, shape: tuple[int, ...], what: str) -> tuple[int, int, int]:
        """The (C, H, W) that comes out for an image of (C, H, W) `shape`.

        Raises:
            DataError: the crop or the mean does not fit; `what` names the image.
        """
        crop = self.param.crop_size
        if min(shape) < 1:
            raise DataError(f"{what} is empty: {shape} (C, H, W)")
        if min(shape[1:]) < crop:
            raise DataError(f"{what} is {shape} (C, H, W): smaller than crop_size {crop}")
        self.mean.check_image(shape, what)
        return (shape[0], crop, crop) if crop else shape  # type: ignore[return-value]

    def apply(self, pixels: np.ndarray, out: np.ndarray) -> None:
        """Write (pixels - mean) * scale, cropped and perhaps mirrored, into `out`.

        Args:
            pixels: (C, H, W), uint8 or float32.
            out: float32, of the `shape` for these pixels.
        """
        target = out[..., ::-1] if self._flips() else out
        window = (slice(None), *self._window(pixels.shape[1:]))
        mean = self.mean.values
        if mean is None:
            target[...] = pixels[window]
        else:
            np.subtract(pixels[window], mean[window] if self.mean.is_image else mean, out=target)
        if self.param.scale != 1:
            out *= np.float32(self.param.scale)

    def _flips(self) -> bool:
        # In both phases, as in Caffe.
        return self._random is not None and self.param.mirror and self._random.below(2) == 1

    def _window(self, size: tuple[int, ...]) -> list[slice]:
        crop = self.param.crop_size
        if not crop:
            return [slice(None), slice(None)]
        if self._crops_at_random and self._random is not None:
            starts = [self._random.below(side - crop + 1) for side in size]
        else:
            starts = [(side - crop) // 2 for side in size]
        return [slice(start, start + crop) for start in starts]

    def state(self) -> dict[str, Any] | None:
        """The state of the random numbers; None where none are drawn."""
        return self._random.state if self._random is not None else None

    def restore(self, state: dict[str, Any] | None) -> None:
        """Go back to a `state`.

        Raises:
            DataError: it was taken where numbers were drawn and now are not, or the other way round.
        """
        if (state is None) != (self._random is None):
            raise DataError("mirror or crop_size of transform_param are not what they were")
        if state is not None and self._random is not None:
            self._random.state = state
