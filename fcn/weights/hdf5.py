"""Caffe's HDF5 files: parameters as `data/<layer>/<number>`; solver states are in `solverstate`.

h5py is imported when the first such file is met: nothing else needs it.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from voc_layers.hdf5 import Refused, check_inside, walk

from ..outputs import replacing

Found = TypeVar("Found")


@contextmanager
def opened(path: str | Path, what: str = "caffemodel", mode: str = "r") -> Iterator[Any]:
    """The `h5py.File`; what h5py says of a file that is not `what`, or damaged, becomes a ValueError."""
    import h5py

    try:
        with h5py.File(path, mode) as file:
            check_inside(file)
            yield file
    except Refused as error:
        raise ValueError(f"{path}: {error}") from error
    except MemoryError as error:
        raise ValueError(f"{path}: holds more values than there is memory for") from error
    except (
        OSError,
        RuntimeError,
        LookupError,
        AttributeError,
        TypeError,
        OverflowError,
        ValueError,
    ) as error:
        if isinstance(error, ValueError) and str(error).startswith(f"{path}: "):  # said by who reads it here
            raise
        raise ValueError(f"{path}: not a {what} in HDF5, or cut off: {error}") from error


def layers(
    path: str | Path, take: Callable[[Any], Found], only: Collection[str] | None = None
) -> dict[str, list[Found]]:
    """Layer name -> what `take` makes of each of its parameters, which are h5py's datasets of numbers.

    Args:
        only: the layers that are looked into, if they are there; all by default.

    Raises:
        ValueError: a file that is cut off, or whose contents are no caffemodel.
    """
    import h5py

    found: dict[str, dict[str, Found]] = {}
    with opened(path) as file:
        if not isinstance(file.get("data"), h5py.Group):
            what = "a dataset, not a group of layers" if "data" in file else "missing"
            raise ValueError(f"{path}: not a caffemodel in HDF5: 'data' is {what}")
        for name, item in walk(file["data"]):
            layer, _, number = name.rpartition("/")
            if isinstance(item, h5py.Group):
                found.setdefault(name, {})
            elif not layer or item.dtype.kind != "f":
                raise ValueError(f"{path}: not a caffemodel in HDF5: data/{name} is no parameter of a layer")
            elif only is None or layer in only:
                found.setdefault(layer, {})[number] = take(item)
    return {layer: _in_order(path, layer, numbered) for layer, numbered in found.items()}


def write(path: Path, layers: Mapping[str, Sequence[np.ndarray]]) -> None:
    """Write parameters as Caffe does, in float32."""
    import h5py

    content = io.BytesIO()  # HDF5 cannot close a file on a disk that is full
    with h5py.File(content, "w") as file:
        for layer, arrays in layers.items():
            for number, array in enumerate(arrays):
                file[f"data/{layer}/{number}"] = np.asarray(array, np.float32)
    with replacing(path) as temporary:
        temporary.write_bytes(content.getbuffer())


def _in_order(path: str | Path, layer: str, numbered: dict[str, Found]) -> list[Found]:
    wanted = [str(i) for i in range(len(numbered))]
    if sorted(numbered) != sorted(wanted):
        raise ValueError(
            f"{path}: layer '{layer}' has parameters {', '.join(sorted(numbered))}; they are called "
            f"{', '.join(wanted)}"
        )
    return [numbered[number] for number in wanted]
