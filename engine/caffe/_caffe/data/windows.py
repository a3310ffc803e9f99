"""Warped windows of images: what WindowData loads. Source: Caffe's WindowDataLayer, after R-CNN."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import numpy as np

from ..errors import DataError
from ..formats.files import read_list
from ..log import log
from . import images
from .shuffle import Random
from .transform import Mean

if TYPE_CHECKING:
    from ...proto.caffe_pb2 import LayerParameter, WindowDataParameter

_LARGEST = 2**31 - 1
_COLUMNS = 6  # class, overlap, x1, y1, x2, y2


class WindowFile(NamedTuple):
    """A window file: the images by their number in the file, and the windows that count."""

    paths: dict[int, str]
    channels: int  # of the last image
    foreground: np.ndarray  # (F, 6) int32: image, class, x1, y1, x2, y2
    background: np.ndarray  # (B, 6), class 0


class _Tokens:
    """The words of a text file, with the line of the last one for messages."""

    def __init__(self, path: str) -> None:
        self.path, self.line = path, 0
        self._words = self._read()

    def _read(self) -> Iterator[str]:
        try:
            lines = read_list(self.path).split("\n")
        except OSError as error:
            raise DataError(f"Failed to open window file '{self.path}': {error.strerror}") from error
        for self.line, line in enumerate(lines, 1):
            yield from line.split()

    def next(self, default: str | None = None) -> str:
        word = next(self._words, default)
        if word is None:
            self.fail("the file ends in the middle of an image")
        return word

    def integer(self, what: str) -> int:
        word = self.next()
        try:
            number = int(word)
        except ValueError:
            self.fail(f"expected {what}, found '{word[:40]}'")
        if not abs(number) <= _LARGEST:
            self.fail(f"{what} does not fit 32 bits: {word[:40]}")
        return number

    def fail(self, message: str) -> NoReturn:
        raise DataError(f"{self.path}:{self.line}: {message}")


def read_windows(param: WindowDataParameter) -> WindowFile:
    """Read `source`: for each image `# index`, path, channels, height, width, number of windows, windows.

    Overlaps from `fg_threshold` on are foreground, those below `bg_threshold` background, the rest is
    left out.

    Raises:
        DataError: the file cannot be read, or a foreground window is of class 0; with the line.
    """
    tokens = _Tokens(param.source)
    paths: dict[int, str] = {}
    kept: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    channels = 0
    word = tokens.next("")
    if not word:
        raise DataError(f"Window file is empty: '{param.source}'")
    while word:
        if word != "#":
            tokens.fail(f"expected '# index' of the next image, found '{word}'")
        index = tokens.integer("an image's index")
        paths[index] = param.root_folder + tokens.next()
        channels, _, _ = (tokens.integer(f"the image's {what}") for what in ("channels", "height", "width"))
        windows = _read_image_windows(tokens, tokens.integer("the number of windows"))
        for found, part in zip(kept, _select(windows, index, param, tokens)):
            found.append(part)
        word = tokens.next("")
    log.info("Number of images: %d", len(paths))
    return WindowFile(paths, channels, np.concatenate(kept[0]), np.concatenate(kept[1]))


def _read_image_windows(tokens: _Tokens, count: int) -> np.ndarray:
    words = [tokens.next() for _ in range(count * _COLUMNS)]
    try:
        windows = np.array(words, np.float64).reshape(-1, _COLUMNS)
    except ValueError:
        windows = np.full((1, _COLUMNS), np.nan)
    whole = windows[:, [0, 2, 3, 4, 5]]
    if not ((np.abs(whole) <= _LARGEST) & (whole == np.rint(whole))).all():
        tokens.fail("a window is 'class overlap x1 y1 x2 y2': overlap a number, the others integers")
    return windows


def _select(
    windows: np.ndarray, index: int, param: WindowDataParameter, tokens: _Tokens
) -> tuple[np.ndarray, np.ndarray]:
    """The foreground and background windows of one image, as `WindowFile` has them."""
    overlap = windows[:, 1].astype(np.float32)
    table = np.column_stack([np.full(len(windows), index), windows[:, [0, 2, 3, 4, 5]]]).astype(np.int32)
    is_foreground = overlap >= np.float32(param.fg_threshold)
    foreground = table[is_foreground]
    background = table[~is_foreground & (overlap < np.float32(param.bg_threshold))]
    background[:, 1] = 0
    if (foreground[:, 1] <= 0).any():
        tokens.fail(
            f"a window of the image ending here overlaps by fg_threshold {param.fg_threshold:g} or more but "
            "is of class 0: foreground classes begin at 1"
        )
    return foreground, background


class WindowSamples:
    """Batches of windows warped to crop_size, background first, drawn with replacement.

    A source for `prefetch`.
    """

    def __init__(self, param: LayerParameter) -> None:
        """Raises DataError for what is wrong in the settings or the file."""
        self._param, self._transform = param.window_data_param, param.transform_param
        self._crop = param.transform_param.crop_size
        if not self._param.batch_size:
            raise DataError("batch_size must be positive: set window_data_param.batch_size")
        if not self._crop:
            raise DataError("transform_param.crop_size must be positive: windows are warped to it")
        if not 0 <= self._param.fg_fraction <= 1:
            raise DataError(f"window_data_param.fg_fraction is {self._param.fg_fraction:g}, not 0 to 1")
        if 2 * self._param.context_pad >= self._crop:
            raise DataError(f"context_pad {self._param.context_pad} leaves nothing of crop_size {self._crop}")
        self._random = Random()
        self._mean = Mean(param.transform_param)
        self._file = read_windows(self._param)
        self._check()
        log.info("Amount of context padding: %d", self._param.context_pad)
        log.info("Crop mode: %s", self._param.crop_mode)
        cached = self._file.paths if self._param.cache_images else {}
        self._cache = {index: _read_bytes(path) for index, path in cached.items()}

    def _check(self) -> None:
        source = self._param.source
        for windows, kind in ((self._file.foreground, "foreground"), (self._file.background, "background")):
            log.info("%s: %d %s windows", source, len(windows), kind)
            if not len(windows):
                raise DataError(f"'{source}' has no {kind} windows: see fg_threshold and bg_threshold")
        if self._file.channels != 3:
            raise DataError(
                f"the last image of '{source}' has {self._file.channels} channels; images are read as 3"
            )
        self._mean.check_channels(3)
        mean = self._mean.values
        if self._mean.is_image and mean is not None:
            middle = self._centred(mean).shape
            if len(mean) != 3 or mean.shape[2] < self._crop or middle[1] < self._crop:
                raise DataError(
                    f"mean_file '{self._mean.path}' is {mean.shape} (C, H, W): "
                    f"too small for a crop_size of {self._crop}"
                )

    def shapes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The shapes of data and labels."""
        count = self._param.batch_size
        return (count, 3, self._crop, self._crop), (count,)

    def load(self) -> tuple[np.ndarray, np.ndarray]:
        """The next batch: data (N, 3, crop, crop), BGR, and labels (N), float32."""
        shape, label_shape = self.shapes()
        data, labels = np.zeros(shape, np.float32), np.zeros(label_shape, np.float32)
        foreground = int(np.float32(shape[0]) * np.float32(self._param.fg_fraction))
        for index in range(shape[0]):
            first = index < shape[0] - foreground
            windows = self._file.background if first else self._file.foreground
            window = windows[self._random.below(len(windows))]
            mirrored = self._transform.mirror and self._random.below(2) == 1
            self._warp(window, mirrored, data[index])
            labels[index] = window[1]
        return data, labels

    def _warp(self, window: np.ndarray, mirrored: bool, out: np.ndarray) -> None:
        image, what = self._image(int(window[0]))
        columns, rows = self._spans(window[2:].tolist(), image.shape[:2], what)
        left = columns.after if mirrored else columns.before
        # Rounding may have made it too large.
        height, width = min(rows.length, self._crop - rows.before), min(columns.length, self._crop - left)
        box = image[rows.first : rows.last + 1, columns.first : columns.last + 1]
        if min(*box.shape[:2], height, width) < 1:
            raise DataError(f"{what}: nothing of window {window[2:].tolist()} is inside the image")
        warped = images.resize(box, height, width)
        values = (warped[:, ::-1] if mirrored else warped).transpose(2, 0, 1).astype(np.float32)
        place = slice(None), slice(rows.before, rows.before + height), slice(left, left + width)
        mean = self._mean.values
        if mean is not None:
            values -= self._centred(mean)[place] if self._mean.is_image else mean
        out[place] = values * np.float32(self._param.scale)

    def _centred(self, mean: np.ndarray) -> np.ndarray:
        """The mean image from where its middle crop begins; Caffe uses the width's offset for rows too."""
        shift = (mean.shape[2] - self._crop) // 2
        return mean[:, shift:, shift:]

    def _spans(self, corners: list[int], size: tuple[int, ...], what: str) -> tuple[_Span, _Span]:
        """Which columns and rows of the image are warped, and to where in the crop."""
        x1, y1, x2, y2 = corners
        height, width = size
        pad, square = self._param.context_pad, self._param.crop_mode == "square"
        if not pad and not square:
            if min(x1, y1) < 0 or x2 >= width or y2 >= height:
                raise DataError(f"{what}: window {corners} is not inside its {height}x{width} pixels")
            return _Span(x1, x2, 0, 0, self._crop), _Span(y1, y2, 0, 0, self._crop)
        halves = np.array([x2 - x1 + 1, y2 - y1 + 1], np.float32) / 2
        centres = np.array([x1, y1], np.float32) + halves
        if square:
            halves[:] = halves.max()
        halves *= np.float32(self._crop) / np.float32(self._crop - 2 * pad)
        first, last = _round(centres - halves), _round(centres + halves)
        return _fit(first[0], last[0], width, self._crop), _fit(first[1], last[1], height, self._crop)

    def _image(self, index: int) -> tuple[np.ndarray, str]:
        if index not in self._file.paths:
            raise DataError(f"'{self._param.source}' has no image of index {index}")
        path = self._file.paths[index]
        what = f"image '{path}' (index {index} in '{self._param.source}')"
        return images.decode(self._cache.get(index, path), "color", what), what

    def state(self) -> dict[str, Any]:
        """The state of the random numbers; there is no position."""
        return {"random": self._random.state}

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a `state`."""
        self._random.state = state["random"]

    def close(self) -> None:
        """Nothing: every image is closed when it is read."""


class _Span(NamedTuple):
    """One axis of a window: the pixels that are warped, and where they go."""

    first: int  # the first and the last pixel, inside the image
    last: int
    before: int  # pixels of the crop that stay 0 on each side
    after: int
    length: int  # pixels of the crop that they are warped to


def _fit(first: int, last: int, size: int, crop: int) -> _Span:
    """The span of pixels `first` to `last` of an axis of `size`, beyond which the crop stays 0."""
    scale = np.float32(crop) / np.float32(last - first + 1)
    before, after = max(0, -first), max(0, last - size + 1)
    inside = last - after - (first + before) + 1
    lengths = _round(np.array([before, after, inside], np.float32) * scale)
    return _Span(first + before, last - after, *lengths)


def _round(values: np.ndarray) -> list[int]:
    """C's round: halves away from zero."""
    return [math.floor(abs(value) + 0.5) * (1 if value >= 0 else -1) for value in values.tolist()]


def _read_bytes(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise DataError(f"could not open image '{path}': {error.strerror}") from error
