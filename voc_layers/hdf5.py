"""HDF5 files that are made by others: what they hold lies in the file itself. Imports no caffe."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


class Refused(ValueError):
    """What a file holds is in another file, or is far larger than the file can be."""


#: Data may be so many times as large as their file; up to `FREELY` bytes they always may.
RATIO, FREELY = 20, 1 << 30


def walk(top: Any) -> Iterator[tuple[str, Any]]:
    """(path below `top`, item) of all that an `h5py.Group` holds, each once, a group before what is in it.

    In the place of h5py's `visititems`, which does not end where a damaged file leads in a circle.

    Raises:
        Refused: a link, external storage, or a data set put together from others, which HDF5 would read from
            other files without a word; a data set whose values the file does not hold; where it is.
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


def check_inside(file: Any) -> None:
    """See that all that an open `h5py.File` holds lies in it. Raises: see `walk`."""
    for _ in walk(file["/"]):
        pass


def _number(item: Any) -> tuple[int, int]:
    """Where in its file an object lies. `h5o.get_info` has that too, and loops in damaged files."""
    import h5py

    number: tuple[int, int] = h5py.h5g.get_objinfo(item.id).objno
    return number


def _inside(group: Any, name: str) -> Any:
    """What a group calls `name`; Refused where that is, or may be, in another file or in none."""
    import h5py

    place = f"{group.name.rstrip('/')}/{name}"
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise Refused(f"{place} is a link, and links may lead out of the file: store the values there")
    item = group[name]
    if isinstance(item, h5py.Dataset) and (item.external or item.is_virtual):
        raise Refused(f"{place} lies in other files: store the values in this one")
    if isinstance(item, h5py.Dataset) and item.size is not None:
        needed, size = item.size * item.id.get_type().get_size(), group.file.id.get_filesize()
        if needed > max(FREELY, RATIO * size):
            raise Refused(f"{place} has the shape {item.shape}: far more than a file of {size} bytes holds")
    return item
