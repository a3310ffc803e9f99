"""HDF5 files that are made by others: what they hold lies in the file itself. Imports no caffe."""

from __future__ import annotations

from typing import Any


class LinkError(ValueError):
    """A file says that what it holds is in another file."""


def check_inside(file: Any) -> None:
    """See that nothing in an open `h5py.File` lies in other files, which HDF5 would read without a word.

    Raises:
        LinkError: a link, external storage, or a data set put together from others; where it is.
    """
    import h5py

    seen, waiting = set(), [file["/"]]
    while waiting:
        group = waiting.pop()
        address = h5py.h5o.get_info(group.id).addr
        names = [] if address in seen else list(group)
        seen.add(address)
        for name in names:
            place = f"{group.name.rstrip('/')}/{name}"
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise LinkError(
                    f"{place} is a link, and links may lead out of the file: store the values there"
                )
            item = group[name]
            if isinstance(item, h5py.Group):
                waiting.append(item)
            elif isinstance(item, h5py.Dataset) and (item.external or item.is_virtual):
                raise LinkError(f"{place} lies in other files: store the values in this one")
