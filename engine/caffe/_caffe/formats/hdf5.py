"""Caffe's habits with HDF5: float32 datasets, strings that end in a zero byte, files whole or not there."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import CaffeError, ParseError, WeightsError
from .files import could_not_open, replacing
from .wire import File

if TYPE_CHECKING:
    import h5py

SIGNATURE = b"\x89HDF\r\n\x1a\n"
#: Data may be so many times as large as their file; up to `_FREELY` bytes they always may.
_RATIO, _FREELY = 20, 1 << 30


def is_hdf5(path: str | os.PathLike[str]) -> bool:
    """Whether the file has HDF5's signature: at its start, or after a user block of 512 bytes or a multiple.

    Raises:
        ParseError: the file cannot be opened.
    """
    file = File(path)
    start = 0
    while start + len(SIGNATURE) <= file.size:
        if file.read(start, len(SIGNATURE)) == SIGNATURE:
            return True
        start = max(2 * start, 512)
    return False


@contextmanager
def reading(path: str | os.PathLike[str]) -> Iterator[h5py.File]:
    """The file open for reading.

    Raises:
        ParseError: it cannot be opened, leads to other files, or what the body reads is missing or broken.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            for _ in walk(file["/"]):
                pass  # links are refused
            yield file
    except FileNotFoundError as error:
        raise ParseError(could_not_open(path, error)) from error
    except CaffeError:
        raise
    except (
        OSError,
        LookupError,
        RuntimeError,
        ValueError,
        TypeError,
        AttributeError,
        OverflowError,
    ) as error:
        raise ParseError(f"Failed to read HDF5 file '{path}': {error}") from error


def walk(top: h5py.Group) -> Iterator[tuple[str, Any]]:
    """(path below `top`, item) of all that a group holds, each once, a group before what is in it.

    In the place of h5py's `visititems`, which does not end where a damaged file leads in a circle.

    Raises:
        ParseError: something lies in other files, which HDF5 would read without a word, or is far larger than
            the file can be; where it is.
    """
    import h5py

    seen = {_number(top)}
    open_groups = [("", top, iter(list(top)))]
    while open_groups:
        path, group, names = open_groups[-1]
        name = next(names, None)
        if name is None:
            open_groups.pop()
            continue
        item = _inside(group, name)
        if _number(item) in seen:
            continue
        seen.add(_number(item))
        yield f"{path}{name}", item
        if isinstance(item, h5py.Group):
            open_groups.append((f"{path}{name}/", item, iter(list(item))))


def _number(item: Any) -> tuple[int, int]:
    """Where in its file an object lies. `h5o.get_info` has that too, and loops in damaged files."""
    import h5py

    number: tuple[int, int] = h5py.h5g.get_objinfo(item.id).objno
    return number


def _inside(group: h5py.Group, name: str) -> Any:
    """What a group calls `name`, unless that is, or may be, in another file."""
    import h5py

    place = f"'{group.file.filename}': {group.name.rstrip('/')}/{name}"
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise ParseError(f"{place} is a link, which may lead out of the file: store the values there")
    item = group[name]
    if isinstance(item, h5py.Dataset) and (item.external or item.is_virtual):
        raise ParseError(f"{place} lies in other files: store the values in this one")
    if isinstance(item, h5py.Dataset) and item.size is not None:
        needed, size = item.size * item.id.get_type().get_size(), group.file.id.get_filesize()
        if needed > max(_FREELY, _RATIO * size):
            raise ParseError(
                f"{place} has the shape {item.shape}: far more than a file of {size} bytes holds"
            )
    return item


def group_of(file: h5py.File, name: str, what: str) -> h5py.Group:
    """The group `name` of a file that is meant to be `what`, such as "a model".

    Raises:
        ParseError: there is no such group.
    """
    import h5py

    found = file.get(name)
    if isinstance(found, h5py.Group):
        return found
    held = f"it holds {', '.join(file)}" if len(file) else "it is empty"
    reason = f"'{name}' is an array" if name in file else held
    raise ParseError(f"'{file.filename}' is not {what}: {reason}; a group '{name}' is expected")


def number_of(file: h5py.File, name: str, what: str) -> int:
    """The first number of the dataset `name`; see `group_of`."""
    import h5py

    found = file.get(name)
    if not isinstance(found, h5py.Dataset) or found.dtype.kind not in "iuf" or not found.size:
        raise ParseError(f"'{file.filename}' is not {what}: '{name}' is not a number")
    return int(np.ravel(found[()])[0])


def text_of(file: h5py.File, name: str, what: str) -> str:
    """The string in the dataset `name`; see `group_of`."""
    import h5py

    found = file.get(name)
    if not isinstance(found, h5py.Dataset) or h5py.check_string_dtype(found.dtype) is None or found.shape:
        raise ParseError(f"'{file.filename}' is not {what}: '{name}' is not a text")
    return str(found.asstr(errors="surrogateescape")[()])


@contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[h5py.File]:
    """A new file, which takes the place of `path` when the body ends well; see `files.replacing`."""
    import h5py

    with replacing(path) as temporary, _NotingFile(temporary, "w+") as raw:
        try:
            with h5py.File(raw, "w") as file:
                yield file
        finally:
            if raw.error is not None:
                raise raw.error


class _NotingFile(io.FileIO):
    """A file that notes the first `error` of writing and goes on as if there was none.

    HDF5 can't close a file that it can't write: on a full disk the process would crash at its end.
    """

    error: OSError | None = None

    def write(self, data: Any, /) -> int:
        rest = memoryview(data).cast("B")
        count = len(rest)
        try:
            while rest and self.error is None:
                rest = rest[super().write(rest) :]
        except OSError as error:
            self.error = error
        return count

    def truncate(self, size: int | None = None, /) -> int:
        try:
            return super().truncate(size)
        except OSError as error:
            self.error = self.error or error
            return size or 0


def save_array(group: h5py.Group, name: str, array: np.ndarray) -> None:
    """Write a float32 dataset (float64 if that is what the array holds)."""
    group.create_dataset(name, data=array, dtype="<f8" if array.dtype == np.float64 else "<f4")


def save_text(group: h5py.Group, name: str, text: str) -> None:
    """Write a string that ends in a zero byte: Caffe reads as far as the zero."""
    import h5py

    data = text.encode() + b"\0"
    kind = h5py.h5t.C_S1.copy()
    kind.set_size(len(data))
    kind.set_strpad(h5py.h5t.STR_NULLTERM)
    dataset = h5py.h5d.create(group.id, name.encode(), kind, h5py.h5s.create(h5py.h5s.SCALAR))
    dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, np.array(data, f"S{len(data)}"), mtype=kind)


def array_shape(group: h5py.Group, name: str) -> tuple[int, ...]:
    """The shape of the dataset `name`.

    Raises:
        WeightsError: it is no dataset, or its type is neither float nor integer.
    """
    import h5py

    found = group[name]
    if not isinstance(found, h5py.Dataset) or found.dtype.kind not in "fiu":
        raise WeightsError(f"'{group.file.filename}': {group.name}/{name} is not an array of numbers")
    return tuple(found.shape)


def read_array(dataset: h5py.Dataset, target: np.ndarray) -> None:
    """Copy a dataset into an array of its shape, without an array in between where that is possible."""
    if dataset.ndim and dataset.size and target.flags.c_contiguous:
        dataset.read_direct(target)
    else:
        target[...] = dataset[()]
