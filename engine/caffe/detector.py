"""Detection by classifying windows of an image, as in R-CNN (Girshick et al., CVPR 2014)."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from . import io
from .classifier import NetOnImages

Window = Sequence[float] | np.ndarray


class Detector(NetOnImages):
    """A net that gives each window a row of scores.

    A window is (ymin, xmin, ymax, xmax) in pixels, where ymax and xmax lie outside of it.

    Args:
        model_file, pretrained_file: prototxt and caffemodel.
        mean, input_scale, raw_scale, channel_swap: how the net wants its images; see `io.Transformer`.
        context_pad: pixels of the net's input, on each side, that show what surrounds the window.

    Raises:
        RuntimeError: a file cannot be opened. ValueError: as for `configure_crop`.
    """

    def __init__(  # noqa: PLR0913  pycaffe's own
        self,
        model_file: str,
        pretrained_file: str,
        mean: np.ndarray | None = None,
        input_scale: float | None = None,
        raw_scale: float | None = None,
        channel_swap: Sequence[int] | None = None,
        context_pad: int | None = None,
    ) -> None:
        super().__init__(model_file, pretrained_file, mean, input_scale, raw_scale, channel_swap)
        self.configure_crop(context_pad)

    def detect_windows(self, images_windows: Iterable[tuple[str, Iterable[Window]]]) -> list[dict[str, Any]]:
        """Score windows, each warped to the net's input.

        Args:
            images_windows: (image file, its windows) pairs.

        Returns:
            A dict for each window, in order: `window`, `prediction` (the first output's row), `filename`.

        Raises:
            IndexError: no windows at all. ValueError: a window without pixels. OSError: no such image.
        """
        crops, detections = [], []
        for filename, windows in images_windows:
            image = io.load_image(filename)
            for window in windows:
                # A copy: preprocessing a window in place would change those that overlap it.
                crops.append(self.crop(image, window).copy())
                detections.append({"window": window, "prediction": None, "filename": filename})
        if not crops:
            raise IndexError("detect_windows was given no windows")
        for detection, prediction in zip(detections, self.predictions(crops)):
            detection["prediction"] = prediction
        return detections

    def detect_selective_search(self, image_fnames: Iterable[str]) -> list[dict[str, Any]]:
        """Score the windows that Selective Search proposes (Uijlings et al., IJCV 2013).

        Raises:
            ImportError: its Python module is not installed. Otherwise as for `detect_windows`.
        """
        try:
            selective_search = importlib.import_module("selective_search_ijcv_with_python")
        except ImportError as error:
            raise ImportError(
                "detect_selective_search needs the module 'selective_search_ijcv_with_python' (which runs "
                "MATLAB code) on PYTHONPATH; windows from elsewhere go to detect_windows"
            ) from error
        paths = [os.path.abspath(name) for name in image_fnames]
        windows = selective_search.get_windows(paths, cmd="selective_search_rcnn")
        return self.detect_windows(zip(paths, windows))

    def crop(self, im: np.ndarray, window: Window) -> np.ndarray:
        """The pixels of a window; with `context_pad` at the size of the net's input, surrounded by context.

        What lies outside of the image is filled with the mean.

        Args:
            im: H x W x K.

        Raises:
            ValueError: the window has no pixels in the image.
        """
        ymin, xmin, ymax, xmax = box = np.asarray(window).astype(int)
        if self.context_pad:
            return self._crop_with_context(im, box, self.context_pad)
        crop = im[ymin:ymax, xmin:xmax]
        if not crop.size:
            raise ValueError(f"window {window} has no pixels in an image of {im.shape[:2]} (H, W)")
        return crop

    def _crop_with_context(self, im: np.ndarray, box: np.ndarray, pad: int) -> np.ndarray:
        # All arrays are (y, x). Extents count the last pixel twice, as R-CNN's did.
        size, image = self.crop_dims[:2], np.array(im.shape[:2])
        half = (box[2:] - box[:2] + 1) / 2
        reach = half * size / (size - 2 * pad)
        start, stop = np.round(box[:2] + half - reach), np.round(box[:2] + half + reach)
        ratio = size / (stop - start + 1)
        top, left = corner = np.minimum(np.round(np.maximum(0, -start) * ratio), size - 1).astype(int)

        start, stop = start.clip(0, image).astype(int), stop.clip(0, image).astype(int)
        (y0, x0), (y1, x1) = start, stop
        context = im[y0:y1, x0:x1]
        if not context.size:
            raise ValueError(f"window {box.tolist()} has no pixels in an image of {im.shape[:2]} (H, W)")
        height, width = np.round((stop - start + 1) * ratio).clip(1, size - corner).astype(int)
        crop = np.ones(self.crop_dims, np.float32) * self.crop_mean
        crop[top : top + height, left : left + width] = io.resize_image(context, (height, width))
        return crop

    def configure_crop(self, context_pad: int | None) -> None:
        """Set `context_pad`, and what follows from the transformer: `crop_dims` (H, W, K), `crop_mean`.

        Raises:
            ValueError: the padding leaves no room for the window.
        """
        in_, transformer = self.inputs[0], self.transformer
        image_axes = np.argsort(transformer.transpose[in_])
        self.crop_dims = np.array(self.blobs[in_].data.shape[1:])[image_axes]
        self.context_pad = context_pad
        if not context_pad:
            return
        if 2 * context_pad >= min(self.crop_dims[:2]):
            raise ValueError(
                f"context_pad {context_pad} on both sides fills an input of {self.crop_dims[:2]} pixels"
            )
        if in_ not in transformer.mean:
            self.crop_mean = np.zeros(self.crop_dims, np.float32)
            return
        mean = transformer.mean[in_]
        mean = mean.reshape(-1, *mean.shape[-2:]).transpose(image_axes)
        if in_ in transformer.channel_swap:
            mean = mean[:, :, np.argsort(transformer.channel_swap[in_])]
        self.crop_mean = mean / transformer.raw_scale.get(in_, 1)
