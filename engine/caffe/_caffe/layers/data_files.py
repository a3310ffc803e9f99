"""Layers that read files: Data, ImageData, WindowData, HDF5Data; and HDF5Output, which writes one.

Images come out as N x C x H x W, BGR. What is wrong in the data is a LayerError, also when the thread
that loads ahead met it: it comes up at the forward that would have given the batch.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar, Protocol

import numpy as np
import torch

from .. import device
from ..blob import Blob
from ..data.prefetch import Prefetcher
from ..data.samples import DatabaseSamples, ImageSamples
from ..data.shuffle import Epochs, Random, shard
from ..data.windows import WindowSamples
from ..errors import DataError
from ..formats.files import read_list
from ..formats.hdf5 import array_shape, reading, save_array, writing
from ..layer import Arity, Call, Layer
from ..log import log
from ..registry import register
from .checks import check_legacy

# Seconds. The collector may come while a lock is held, the log's say, for which the layer's thread waits.
_PATIENCE = 10.0


def _fill(blob: Blob, array: np.ndarray) -> None:
    """Make `array`, which nobody else holds, the blob's data."""
    blob.bring(torch.from_numpy(array).to(device.dtype()))


def _moved(message: str, *more: str) -> tuple[str, ...]:
    """The settings that Caffe moved to `transform_param`; it reads them in old formats only."""
    return tuple(f"{message}.{field}" for field in ("mean_file", "crop_size", "mirror", *more))


_DATA_FIELDS = _moved("data_param", "scale", "rand_skip", "force_encoded_color")


class _Positioned(Protocol):
    def restore(self, state: dict[str, Any]) -> None: ...


def _restore(layer: Layer, data: _Positioned, state: dict[str, Any]) -> None:
    try:
        data.restore(state)
    except (DataError, KeyError, TypeError, ValueError) as error:
        layer.fail(f"the saved position does not belong to its data: {error}; delete it to start over")


# ---- images --------------------------------------------------------------------------------------


class _ImageLayer(Layer):
    """A layer whose batches of images and labels are loaded ahead by a thread.

    `data_param.prefetch` batches are kept ready, for whichever type of layer.
    """

    brings_data = True
    bottoms = Arity(0)
    tops = Arity(2)
    #: What loads the batches.
    samples: ClassVar[type[DatabaseSamples | ImageSamples | WindowSamples]]
    #: Settings of transform_param that Caffe does not look at for this type.
    unused: ClassVar[tuple[str, ...]] = ("force_color", "force_gray")

    def setup(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        for name in self.unused:
            if self.layer_param.transform_param.HasField(name):
                log.warning(
                    "%s: transform_param.%s has no effect on %s", self.layer_param.name, name, self.type
                )
        source = self.samples(self.layer_param)
        self._prefetcher = Prefetcher(source, self.layer_param.data_param.prefetch)
        weakref.finalize(self, self._prefetcher.close, _PATIENCE)
        try:
            shapes = source.shapes()
        except BaseException:
            self.close()
            raise
        for blob, dims in zip(top, shapes):
            blob.resize(dims)
        log.info("output data size: %s", ",".join(map(str, top[0].dims)))

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        for blob, array in zip(top, self._prefetcher.next()):
            blob.resize(array.shape)
            _fill(blob, array)

    def close(self) -> None:
        """End the thread and close what it reads; a layer that nobody holds any more does it by itself."""
        self._prefetcher.close()

    def snapshot_state(self) -> dict[str, Any]:
        """The position after the last batch that came out of `forward`."""
        return self._prefetcher.state

    def restore_state(self, state: dict[str, Any]) -> None:
        """Go on after the batch at which `state` was taken.

        Raises:
            LayerError: it belongs to other data or settings.
        """
        _restore(self, self._prefetcher, state)


@register("Data")
class Data(_ImageLayer):
    """Caffe's Data: the records (Datum) of an LMDB or LevelDB in key order, from the first again at the end.

    Tops: data, and label if there is a second. `rand_skip` and the image settings inside `data_param`
    do nothing, as in Caffe.

    Raises:
        LayerError: the database cannot be read, a record is no Datum or of another size than the first
            of its batch, or the transformation does not fit.
    """

    reads = ("data_param", "transform_param")
    without_effect = _DATA_FIELDS
    tops = Arity(1, 2)
    samples = DatabaseSamples
    unused = ()


@register("ImageData")
class ImageData(_ImageLayer):
    """Caffe's ImageData: the image files of a list, resized, in order or shuffled for each epoch.

    Raises:
        LayerError: the list or an image cannot be read (with the line), images of a batch differ in
            size, or the transformation does not fit.
    """

    reads = ("image_data_param", "transform_param", "data_param")
    without_effect = (*_moved("image_data_param", "scale"), *_DATA_FIELDS)
    samples = ImageSamples


@register("WindowData")
class WindowData(_ImageLayer):
    """Caffe's WindowData: windows of images at random, background then foreground, warped to crop_size.

    `scale` is that of `window_data_param`; crop_size, mirror and the mean are those of
    `transform_param`.

    Raises:
        LayerError: the window file (with the line) or an image cannot be read, there are no foreground
            or no background windows, or a window is not inside its image.
    """

    reads = ("window_data_param", "transform_param", "data_param")
    without_effect = (*_moved("window_data_param"), *_DATA_FIELDS)
    samples = WindowSamples
    unused = ("scale", "force_color", "force_gray")


# ---- HDF5 ----------------------------------------------------------------------------------------


@register("HDF5Data")
class HDF5Data(Layer):
    """Caffe's HDF5Data: rows of the datasets that the tops are named after, file after file of a list.

    `shuffle` reorders the files for each epoch and the rows of each file. In TRAIN, of S solvers the one
    of rank r uses the rows whose running number modulo S is r. A file is held in memory as a whole.

    Raises:
        LayerError: the list or a file cannot be read, a dataset is missing or holds no numbers, datasets
            have different numbers of rows, or files rows of different shapes.
    """

    brings_data = True
    reads = ("hdf5_data_param", "transform_param")
    bottoms = Arity(0)
    tops = Arity(1, None)

    def setup(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        param = self.layer_param.hdf5_data_param
        self.check(
            not self.layer_param.HasField("transform_param"),
            "HDF5Data does not transform data: remove transform_param and prepare the values in the file",
        )
        self.check(param.batch_size, "batch_size must be positive: set hdf5_data_param.batch_size")
        self._paths = self._read_list(param.source)
        self._solvers, self._rank = shard(self.phase)
        self._passed = 0
        self._row_order = Random() if param.shuffle else None
        self._files = Epochs(len(self._paths), Random() if param.shuffle else None)
        self._dims: list[tuple[int, ...]] = []
        self._open_file()
        self._dims = [array.shape[1:] for array in self._arrays]
        for blob, dims in zip(top, self._dims):
            blob.resize((param.batch_size, *dims))

    def _read_list(self, source: str) -> list[str]:
        log.info("Loading list of HDF5 filenames from: %s", source)
        try:
            paths = read_list(source).split()
        except OSError as error:
            self.fail(f"Failed to open source file '{source}' (the list of HDF5 files): {error.strerror}")
        except DataError as error:
            self.fail(str(error))
        log.info("Number of HDF5 files: %d", len(paths))
        self.check(paths, f"Must have at least 1 HDF5 filename listed in {source}")
        return paths

    def _open_file(self) -> None:
        path = self._paths[self._files.current]
        names = list(self.layer_param.top)
        with reading(path) as file:
            missing = [name for name in names if name not in file]
            self.check(
                not missing,
                f"Failed to find HDF5 dataset {', '.join(missing)} in '{path}', which has {', '.join(file)}: "
                "tops are named after datasets",
            )
            shapes = [array_shape(file, name) for name in names]
            self._check_shapes(path, dict(zip(names, shapes)))
            self._arrays = [file[name].astype(np.float32)[()] for name in names]
        self._rows = Epochs(shapes[0][0], self._row_order)

    def _check_shapes(self, path: str, shapes: dict[str, tuple[int, ...]]) -> None:
        found = f"'{path}' has " + ", ".join(f"{name} {dims}" for name, dims in shapes.items())
        self.check(all(shapes.values()), f"Input must have at least 1 axis: {found}")
        rows = {dims[0] for dims in shapes.values()}
        self.check(
            len(rows) == 1 and rows != {0}, f"datasets must have equally many rows, 1 or more: {found}"
        )
        wanted = self._dims or [dims[1:] for dims in shapes.values()]
        self.check(
            [dims[1:] for dims in shapes.values()] == wanted,
            f"rows must have the shapes of the first file's, {', '.join(map(str, wanted))}: {found}",
        )

    def _advance(self, rows: int) -> None:
        self._passed += rows
        if self._rows.advance(rows) and len(self._paths) > 1:
            if self._files.advance():
                log.debug("Looping around to first file.")
            self._open_file()

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        count = self.layer_param.hdf5_data_param.batch_size
        for blob, dims in zip(top, self._dims):
            if blob.count != count * math.prod(dims):  # a shape of the user's own stays, as in Caffe
                blob.resize((count, *dims))
        if device.current() is device.HOST:
            self._read_rows(self._arrays_of(top))
            for blob in top:
                blob.data_memory.touched()
            return
        arrays = [np.empty((count, *dims), np.float32) for dims in self._dims]
        self._read_rows(arrays)
        for blob, array in zip(top, arrays):
            _fill(blob, array)

    def forward_calls(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> Sequence[Call]:
        return [partial(self._read_rows, self._arrays_of(top))]

    def _arrays_of(self, top: Sequence[Blob]) -> list[np.ndarray]:
        """The tops' memory on the host, row by row."""
        count = self.layer_param.hdf5_data_param.batch_size
        return [blob.value_as((count, *dims)).numpy() for blob, dims in zip(top, self._dims)]

    def _read_rows(self, targets: Sequence[np.ndarray]) -> None:
        """Copy the next rows of this solver."""
        count, done = len(targets[0]), 0
        while done < count:
            done += self._copy_rows(targets, done)

    def _copy_rows(self, targets: Sequence[np.ndarray], done: int) -> int:
        """Copy rows from the file at hand behind `done` ones, as many as it has or fit; how many."""
        skipped, left = (self._rank - self._passed) % self._solvers, self._rows.left
        if skipped >= left:
            self._advance(left)
            return 0
        rows = min(len(targets[0]) - done, -(-(left - skipped) // self._solvers))
        passed = skipped + (rows - 1) * self._solvers + 1
        index = self._rows.upcoming(skipped, passed, self._solvers)
        for target, array in zip(targets, self._arrays):
            target[done : done + rows] = array[index]
        self._advance(passed)
        return rows

    def snapshot_state(self) -> dict[str, Any]:
        """The position after the last forward."""
        state = {"files": self._files.state(), "rows": self._rows.state(), "passed": self._passed}
        return {**state, "solvers": self._solvers} if self._solvers > 1 else state

    def restore_state(self, state: dict[str, Any]) -> None:
        """Go on after the batch at which `state` was taken.

        Raises:
            LayerError: it belongs to other data or settings.
        """
        _restore(self, self, state)

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a `state`; see `restore_state`."""
        self._files.restore(state["files"])
        self._open_file()
        self._rows.restore(state["rows"])
        self._passed = int(state["passed"])
        others = -self._passed % int(state.get("solvers", 1))  # rows that other solvers have read
        for _ in range(others):
            self._advance(1)


@register("HDF5Output")
class HDF5Output(Layer):
    """Caffe's HDF5Output: writes its bottoms, with 4 axes, as datasets `data` and `label` of an HDF5 file.

    The file is emptied when the net is built, and complete after the forward pass. There can be only
    one, as in Caffe.

    Raises:
        LayerError: the file cannot be written, the bottoms differ in batch size, or at a second forward.
    """

    reads = ("hdf5_output_param",)
    bottoms = Arity(2)
    tops = Arity(0)

    _written = False

    def setup(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        self._path = self.layer_param.hdf5_output_param.file_name
        self.check(self._path, "file_name is not set: name the file in hdf5_output_param")
        with writing(self._path):
            pass

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        self.check(
            not self._written,
            f"'{self._path}' is written already: HDF5Output takes one forward pass per net, as in Caffe. "
            "Build the net again with another file_name, or copy the blobs",
        )
        check_legacy(self, bottom, 0, 1)
        counts = [blob.num for blob in bottom]
        self.check(
            counts[0] == counts[1],
            f"data and label must have the same batch size, not {counts[0]} and {counts[1]}",
        )
        log.info("Saving HDF5 file %s", self._path)
        with writing(self._path) as file:
            for name, blob in zip(("data", "label"), bottom):
                array = blob.value.cpu().numpy()
                save_array(file, name, array.reshape(array.shape + (1,) * (4 - array.ndim)))
        self._written = True
        log.info("Successfully saved %d rows", counts[0])
