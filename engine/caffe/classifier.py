"""Classification of images with a net."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from . import io
from .proto.caffe_pb2 import TEST
from .pycaffe import Net


class NetOnImages(Net):
    """A net in phase TEST that reads images: what `Classifier` and `Detector` share.

    Args:
        model_file, pretrained_file: prototxt and caffemodel.
        mean, input_scale, raw_scale, channel_swap: how the net wants its images; see `io.Transformer`.

    Raises:
        RuntimeError: a file cannot be opened. IndexError: the net has no input.
    """

    def __init__(
        self,
        model_file: str,
        pretrained_file: str,
        mean: np.ndarray | None,
        input_scale: float | None,
        raw_scale: float | None,
        channel_swap: Sequence[int] | None,
    ) -> None:
        super().__init__(model_file, TEST, weights=pretrained_file)
        if not self.inputs:
            raise IndexError(f"'{model_file}' has no input: images are given to an Input layer or an `input`")
        in_ = self.inputs[0]
        self.transformer = io.Transformer({in_: self.blobs[in_].data.shape})
        self.transformer.set_transpose(in_, (2, 0, 1))
        given: dict[str, Any] = {
            "mean": mean, "input_scale": input_scale, "raw_scale": raw_scale, "channel_swap": channel_swap,
        }  # fmt: skip
        for name, value in given.items():
            if value is not None:
                getattr(self.transformer, f"set_{name}")(in_, value)

    def predictions(self, images: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
        """The net's first output for images H x W x K of any sizes, one row each."""
        in_ = self.inputs[0]
        shape = len(images), images[0].shape[2], *self.transformer.inputs[in_][2:]
        data = np.empty(shape, np.float32)
        for row, image in zip(data, images):
            row[...] = self.transformer.preprocess(in_, image)
        inputs: dict[str, Any] = {in_: data}
        return self.forward_all(**inputs)[self.outputs[0]]


class Classifier(NetOnImages):
    """A net that gives each image a row of scores.

    Args:
        model_file, pretrained_file: prototxt and caffemodel.
        image_dims: height and width that images are resized to before cropping; default the net's input.
        mean, input_scale, raw_scale, channel_swap: how the net wants its images; see `io.Transformer`.

    Raises:
        RuntimeError: a file cannot be opened.
    """

    def __init__(  # noqa: PLR0913  pycaffe's own
        self,
        model_file: str,
        pretrained_file: str,
        image_dims: Sequence[int] | None = None,
        mean: np.ndarray | None = None,
        input_scale: float | None = None,
        raw_scale: float | None = None,
        channel_swap: Sequence[int] | None = None,
    ) -> None:
        super().__init__(model_file, pretrained_file, mean, input_scale, raw_scale, channel_swap)
        self.crop_dims = np.array(self.blobs[self.inputs[0]].data.shape[2:])
        self.image_dims = self.crop_dims if image_dims is None or len(image_dims) == 0 else image_dims

    def predict(self, inputs: Sequence[np.ndarray], oversample: bool = True) -> np.ndarray:
        """The scores of images.

        Args:
            inputs: images H x W x K as `io.load_image` gives them, all with the same K.
            oversample: average over ten crops (see `io.oversample`) instead of taking the centre crop.

        Returns:
            n x classes; without oversampling whatever shape the net's first output has.

        Raises:
            IndexError: no images, or one image instead of a list.
            ValueError: the net's input is larger than `image_dims`.
        """
        if len(inputs) == 0 or np.ndim(inputs[0]) != 3:
            raise IndexError("predict needs a list of images H x W x K: predict([image])")
        height, width = (int(dim) for dim in self.image_dims)
        images = np.empty((len(inputs), height, width, inputs[0].shape[2]), np.float32)
        for resized, image in zip(images, inputs):
            resized[...] = io.resize_image(image, (height, width))
        if not oversample:
            return self.predictions(self._centre_crops(images))
        scores = self.predictions(io.oversample(images, self.crop_dims))
        means: np.ndarray = scores.reshape(len(inputs), 10, -1).mean(1)
        return means

    def _centre_crops(self, images: np.ndarray) -> np.ndarray:
        spare = np.array(images.shape[1:3]) - self.crop_dims
        if spare.min() < 0:
            raise ValueError(f"image_dims {tuple(self.image_dims)} are below the input's {self.crop_dims}")
        (y, x), (height, width) = spare // 2, self.crop_dims
        return images[:, y : y + height, x : x + width]
