"""Batches of transformed images from a database or a list of files: what Data and ImageData load."""

from __future__ import annotations

import base64
import re
from abc import ABC, abstractmethod
from contextlib import ExitStack
from typing import Any, NamedTuple

import numpy as np

from ...proto import caffe_pb2
from ...proto.caffe_pb2 import LayerParameter
from .. import device
from ..errors import DataError
from ..formats import files
from ..log import log
from . import datum, db, images
from .shuffle import Epochs, Random, shard
from .transform import Transformer

#: Digits of a label, with blanks before it.
_LONGEST = 40


class Sample(NamedTuple):
    """An image before its transformation."""

    pixels: np.ndarray  # (C, H, W), BGR
    label: int
    what: str  # its name for messages


class Samples(ABC):
    """Transformed images in batches; a batch has the shape its first image has after the transformation.

    A source for `prefetch`. Subclasses give the `current` sample, `advance` to the next and keep the
    position.
    """

    def __init__(self, param: LayerParameter, batch_size: int) -> None:
        """Raises DataError for what is wrong in the settings."""
        if not batch_size:
            raise DataError("batch_size must be positive: set it in this layer's data parameters")
        self.batch_size = batch_size
        self._transformer = Transformer(param.transform_param, param.phase)

    @abstractmethod
    def current(self) -> Sample:
        """The sample whose turn it is."""

    @abstractmethod
    def advance(self) -> None:
        """Go on to the next sample."""

    def shapes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The shapes of data and labels as the first sample has them."""
        sample = self.current()
        shape = self._transformer.shape(sample.pixels.shape, sample.what)
        return (self.batch_size, *shape), (self.batch_size,)

    def load(self) -> tuple[np.ndarray, np.ndarray]:
        """The next batch: data (N, C, H, W) and labels (N), float32."""
        labels = np.empty(self.batch_size, np.float32)
        data: np.ndarray = np.empty(0, np.float32)
        for index in range(self.batch_size):
            sample = self.current()
            shape = self._transformer.shape(sample.pixels.shape, sample.what)
            if index == 0:
                data = np.empty((self.batch_size, *shape), np.float32)
            elif shape != data.shape[1:]:
                raise DataError(
                    f"{sample.what} gives {shape}, the first of its batch {data.shape[1:]}: "
                    "they must agree. Use crop_size, or a batch_size of 1, or images of one size"
                )
            self._transformer.apply(sample.pixels, data[index])
            labels[index] = sample.label
            self.advance()
        return data, labels

    def state(self) -> dict[str, Any]:
        """The position and the random state."""
        return {"transform": self._transformer.state()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a `state`."""
        self._transformer.restore(state["transform"])

    @abstractmethod
    def close(self) -> None:
        """Let go of what is open."""


class DatabaseSamples(Samples):
    """The records of a database in the order of their keys (Caffe's Data).

    In TRAIN, of S solvers the one of rank r uses the records whose running number modulo S is r.
    """

    def __init__(self, param: LayerParameter) -> None:
        data = param.data_param
        if not data.source:
            raise DataError("data_param.source is not set: name the database's folder")
        backend = type(data).DB.Name(data.backend)
        with ExitStack() as undone:
            self._cursor = db.Cursor(db.open_database(data.source, backend))
            undone.callback(self.close)
            super().__init__(param, data.batch_size)
            self._solvers, self._rank = shard(param.phase)
            self._passed = 0
            self._forces = param.transform_param.force_color or param.transform_param.force_gray
            self._skip_others()
            undone.pop_all()

    def current(self) -> Sample:
        what = self._cursor.describe()
        record = datum.parse(self._cursor.value, what)
        if self._forces and not record.encoded:
            log.error("force_color and force_gray only for encoded datum: %s is not", what)
            self._forces = False
        return Sample(datum.pixels(record, what, self._transformer.param), record.label, what)

    def advance(self) -> None:
        self._step()
        self._skip_others()

    def _step(self) -> None:
        if self._cursor.advance() and device.root_solver():
            log.info("Restarting data prefetching from start.")
        self._passed += 1

    def _skip_others(self) -> None:
        while self._passed % self._solvers != self._rank:
            self._step()

    def state(self) -> dict[str, Any]:
        key = base64.b64encode(self._cursor.key).decode()
        return {**super().state(), "key": key, "passed": self._passed}

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self._cursor.rewind(base64.b64decode(state["key"]))
        self._passed = int(state["passed"])
        self._skip_others()  # the state may be another solver's, of another number of them

    def close(self) -> None:
        self._cursor.close()


class ImageSamples(Samples):
    """The images of a list of `path label` lines (Caffe's ImageData)."""

    def __init__(self, param: LayerParameter) -> None:
        self._param = data = param.image_data_param
        if (data.new_height > 0) != (data.new_width > 0):
            raise DataError("image_data_param: new_height and new_width must be set at the same time")
        super().__init__(param, data.batch_size)
        log.info("Opening file %s", data.source)
        self._lines = read_list(data.source)
        if data.shuffle:
            log.info("Shuffling data")
        elif param.phase == caffe_pb2.TRAIN and device.solver_rank() > 0 and not data.rand_skip:
            log.warning("Shuffling or skipping recommended for multi-GPU")
        log.info("A total of %d images.", len(self._lines))
        self._epochs = Epochs(len(self._lines), Random() if data.shuffle else None, self._skipped())

    def _skipped(self) -> int:
        if not self._param.rand_skip:
            return 0
        skip = Random().below(self._param.rand_skip)
        log.info("Skipping first %d data points.", skip)
        if skip >= len(self._lines):
            raise DataError(
                f"Not enough points to skip: rand_skip {self._param.rand_skip} chose {skip} of the "
                f"{len(self._lines)} in '{self._param.source}'; lower rand_skip"
            )
        return skip

    def current(self) -> Sample:
        number = self._epochs.current
        path, label = self._lines[number]
        data = self._param
        try:
            image = images.read(data.root_folder + path, data.is_color, data.new_height, data.new_width)
        except DataError as error:
            where = f"{data.source}:{number + 1}"
            raise DataError(
                f"{error} ({where}; a path is root_folder '{data.root_folder}' followed by the line up to "
                "its last space)"
            ) from error
        return Sample(image.transpose(2, 0, 1), label, f"image '{data.root_folder}{path}'")

    def advance(self) -> None:
        self._epochs.advance()

    def state(self) -> dict[str, Any]:
        return {**super().state(), "epochs": self._epochs.state()}

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self._epochs.restore(state["epochs"])

    def close(self) -> None:
        """Nothing: every image is closed when it is read."""


def read_list(path: str) -> list[tuple[str, int]]:
    """The lines of a list of images as (path, label), parted at the last space.

    A label is read as C's atoi reads it: what is no number is 0.

    Raises:
        DataError: the file cannot be opened, is empty, or is no text; a label is no number of 32 bits.
    """
    try:
        lines = files.read_list(path).removesuffix("\n").split("\n")
    except OSError as error:
        raise DataError(f"could not open the list of images '{path}': {error.strerror}") from error
    if lines == [""]:
        raise DataError(f"File is empty: '{path}' must have a line 'path label' for each image")
    return [_parted(line, f"{path}:{number}") for number, line in enumerate(lines, 1)]


def _parted(line: str, where: str) -> tuple[str, int]:
    path, space, label = line.rpartition(" ")
    number = re.match(r"\s*[+-]?\d+", label)
    digits = number[0] if number else "0"
    if len(digits) > _LONGEST or not -(2**31) <= int(digits) < 2**31:
        raise DataError(f"{where}: the label {label[:40]} does not fit 32 bits")
    return path if space else line, int(digits)
