"""Detections in the layout of a pandas frame, which Caffe's detect.py writes and its readers load.

`pandas.read_hdf(path, "df")` gives a frame indexed by `filename` with the columns prediction, ymin, xmin,
ymax and xmax. This is the layout that pandas calls "fixed": an array for the index, one for the names of the
columns, and a block of values for each type. A prediction is an array, to pandas an object: its block is a
pickle, which is written here and never read.
"""

from __future__ import annotations

import io
import os
import pickle
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .._caffe.formats.hdf5 import writing

if TYPE_CHECKING:
    import h5py

COORDINATES = ("ymin", "xmin", "ymax", "xmax")
_PREDICTION = "prediction"
_VARIETIES = ("axis0_variety", "axis1_variety", "block0_items_variety", "block1_items_variety")


def write_frame(
    path: str | os.PathLike[str],
    names: Sequence[str],
    windows: np.ndarray,
    predictions: Sequence[np.ndarray],
) -> None:
    """Write detections as the frame `df` of an HDF5 file. The file appears whole or not at all.

    Args:
        names: the image file of each detection.
        windows: (n, 4), in the order of `COORDINATES`.
        predictions: the scores of each.

    Raises:
        WeightsError: the file cannot be written.
    """
    with writing(path) as file:
        _set_texts(file, {"CLASS": "GROUP", "VERSION": "1.0", "PYTABLES_FORMAT_VERSION": "2.1"})
        frame = file.create_group("df")
        _set_texts(frame, {"CLASS": "GROUP", "VERSION": "1.0"})
        _set_texts(frame, {"pandas_type": "frame", "pandas_version": "0.15.2"})
        _set_texts(frame, {"encoding": "UTF-8", "errors": "strict"})
        _set_texts(frame, dict.fromkeys(_VARIETIES, "regular"))
        frame.attrs["ndim"], frame.attrs["nblocks"] = np.int64(2), np.int64(2)
        _save_names(frame, "axis0", (_PREDICTION, *COORDINATES))
        _save_names(frame, "axis1", names, title="filename")
        _save_names(frame, "block0_items", COORDINATES)
        _save_values(frame, "block0_values", np.asarray(windows, np.float64))
        _save_names(frame, "block1_items", (_PREDICTION,))
        _save_objects(frame, "block1_values", predictions)


def _set_texts(item: h5py.Group | h5py.Dataset, texts: Mapping[str, str]) -> None:
    """Set attributes, in UTF-8: of text in ASCII PyTables makes bytes."""
    import h5py

    for name, value in texts.items():
        if value:
            item.attrs.create(name, value, dtype=h5py.string_dtype("utf-8", len(value)))
        else:
            item.attrs[name] = h5py.Empty("S1")


def _save_values(frame: h5py.Group, name: str, values: np.ndarray) -> None:
    dataset = frame.create_dataset(name, data=values)
    _set_texts(dataset, {"CLASS": "ARRAY", "VERSION": "2.4", "TITLE": "", "FLAVOR": "numpy"})
    dataset.attrs["transposed"] = np.uint8(1)


def _save_names(frame: h5py.Group, name: str, values: Sequence[str], title: str = "") -> None:
    """An axis of names; `title` is that of the axis."""
    _save_values(frame, name, np.array([value.encode(errors="surrogateescape") for value in values], "S"))
    _set_texts(frame[name], {"kind": "string", "nan_rep": "", "name": title})
    if not title:
        frame[name].attrs["name"] = np.bytes_("N.")  # a pickle of None


def _save_objects(frame: h5py.Group, name: str, values: Sequence[np.ndarray]) -> None:
    """A block of one column of arrays: a pickle, as a row of bytes."""
    import h5py

    column = np.empty((len(values), 1), object)
    for row, value in zip(column, values):
        row[0] = value
    buffer = io.BytesIO()
    _Pickler(buffer, protocol=2).dump(column)
    dataset = frame.create_dataset(name, (1,), h5py.vlen_dtype(np.uint8), maxshape=(None,), chunks=(1,))
    dataset[0] = np.frombuffer(buffer.getvalue(), np.uint8)
    _set_texts(dataset, {"CLASS": "VLARRAY", "VERSION": "1.4", "TITLE": "", "PSEUDOATOM": "object"})
    dataset.attrs["transposed"] = np.uint8(1)


class _Pickler(pickle.Pickler):
    """Pickles arrays by names that NumPy 1 and 2 share, and Python 2 too."""

    def reducer_override(self, item: Any) -> Any:
        if type(item) is not np.ndarray:
            return NotImplemented
        state = item.__reduce__()[2]
        return np.ndarray, ((0,), "b"), state
