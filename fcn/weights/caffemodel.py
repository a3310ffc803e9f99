"""What a caffemodel holds, without a net to load it into, in either of Caffe's two formats.

A real Caffe ends the process when a file does not fit a net, so the fit is looked up first.
"""

from __future__ import annotations

import mmap
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from surgery import BlobLike

from ..outputs import replacing
from . import hdf5, wire
from .wire import OldShape, Shape

# caffe.proto: where the current format, V1 and V0 keep their layers, and a layer its name and blobs.
_LAYER, _V1_LAYERS, _V0_LAYER = 100, 2, 1
_NAME_AND_BLOBS = {_LAYER: (1, 7), _V1_LAYERS: (4, 6), _V0_LAYER: (1, 50)}

_HDF5 = b"\x89HDF"

Found = TypeVar("Found")


def shapes(path: str | Path) -> dict[str, list[Shape]]:
    """Layer name -> shapes of its parameters, for every layer in the file; many have none.

    Raises:
        ValueError: a file that is empty, cut off or no caffemodel.
    """
    if is_hdf5(path):
        return _not_empty(path, hdf5.layers(path, lambda dataset: tuple(dataset.shape)))

    def parse(data: mmap.mmap) -> dict[str, list[Shape]]:
        return {name: [wire.blob_shape(data, *span) for span in spans] for name, spans in _layers(data)}

    return _not_empty(path, wire.read(path, "caffemodel", parse))


def arrays(path: str | Path, only: Collection[str] | None = None) -> dict[str, list[np.ndarray]]:
    """Layer name -> its parameters, in the shapes and the precision of the file.

    Args:
        only: the layers that are read, if they are there; all by default.

    Raises:
        ValueError: a file that is empty, cut off or no caffemodel.
    """
    if is_hdf5(path):
        found = hdf5.layers(path, lambda dataset: np.asarray(dataset[()]), only)
        whole = found if only is not None else _not_empty(path, found)
        return {name: blobs for name, blobs in whole.items() if blobs}

    def parse(data: mmap.mmap) -> dict[str, list[np.ndarray]]:
        wanted = ((n, spans) for n, spans in _layers(data) if spans and (only is None or n in only))
        return {n: [wire.blob_array(data, *span) for span in spans] for n, spans in wanted}

    values = wire.read(path, "caffemodel", parse)
    return values if only is not None else _not_empty(path, values)


def write(path: Path, layers: Mapping[str, Sequence[np.ndarray]]) -> None:
    """Write layers that are in no net, and so have no type; in HDF5 where the name of `path` ends in .h5."""
    if path.suffix == ".h5":
        hdf5.write(path, layers)
        return
    with replacing(path) as temporary, temporary.open("wb") as file:
        for name, arrays in layers.items():
            floats = [np.ascontiguousarray(array, "<f4") for array in arrays]
            heads = [wire.blob_head(array.shape) for array in floats]
            sizes = [len(head) + array.nbytes for head, array in zip(heads, floats)]
            starts = [wire.field(_NAME_AND_BLOBS[_LAYER][1], size) for size in sizes]
            text = name.encode()
            titled = wire.field(_NAME_AND_BLOBS[_LAYER][0], len(text)) + text
            file.write(wire.field(_LAYER, len(titled) + sum(sizes) + sum(map(len, starts))) + titled)
            for start, head, array in zip(starts, heads, floats):
                file.write(start + head)
                file.write(array.data)


def is_hdf5(path: str | Path) -> bool:
    """Whether a file is HDF5: its content decides, not its name, as in Caffe."""
    with open(path, "rb") as file:
        return file.read(4) == _HDF5


def check_fit(
    path: str | Path, params: Mapping[str, Sequence[BlobLike]], found: Mapping[str, Sequence[Shape]]
) -> None:
    """Raise ValueError naming the layers of the file whose parameters are not those of the net's `params`.

    The four axes of old files count as equal when they are so without leading ones.
    """
    both = [layer for layer in found if layer in params]
    wrong = [line for layer in both for line in _misfits(layer, found[layer], params[layer])]
    if wrong:
        raise ValueError(
            "\n".join(
                [
                    f"{path} does not fit the net:",
                    *wrong[:6],
                    *([f"  ... and {len(wrong) - 6} more"] if len(wrong) > 6 else []),
                    "Other numbers of outputs mean other classes (--classes) or widths (--width) than it was "
                    "trained with. To train on from it with other classes, "
                    f"fcn train --from {path} keeps all but the scores; in a program, "
                    "surgery.transplant(new_net, old_net, skip=[layer]) or "
                    "surgery.map_score.",
                ]
            )
        )


def _misfits(layer: str, stored: Sequence[Shape], blobs: Sequence[BlobLike]) -> Iterator[str]:
    if len(stored) != len(blobs):
        yield f"  layer '{layer}': file {len(stored)} parameters, net {len(blobs)}"
        return
    for i, (shape, blob) in enumerate(zip(stored, blobs)):
        wanted = tuple(blob.data.shape)
        fits = bare(shape) == bare(wanted) if isinstance(shape, OldShape) else shape == wanted
        if not fits:
            yield f"  layer '{layer}', parameter {i}: file {tuple(shape)}, net {wanted}"


def bare(shape: Shape) -> Shape:
    """The shape without leading ones: old files store every parameter with four axes."""
    while len(shape) > 1 and shape[0] == 1:
        shape = shape[1:]
    return tuple(shape)


def some(names: Iterable[str]) -> str:
    """A few of many names."""
    names = list(names)
    return ", ".join(names[:4]) + (f" ... {names[-1]}" if len(names) > 4 else "") or "none"


def _not_empty(path: str | Path, found: dict[str, list[Found]]) -> dict[str, list[Found]]:
    if not any(found.values()):
        raise ValueError(f"{path}: no layer with parameters in it; is it a caffemodel?")
    return found


def _layers(data: mmap.mmap) -> Iterator[tuple[str, list[wire.Span]]]:
    """The name of each layer, and where its blobs start and end."""
    for kind, span in wire.fields(data, 0, len(data)):
        if kind not in (_LAYER, _V1_LAYERS) or isinstance(span, int):
            continue
        nested = wire.spans(data, *span, _V0_LAYER) if kind == _V1_LAYERS else []
        if nested:
            kind, span = _V0_LAYER, nested[-1]
        name, blobs = (wire.spans(data, *span, number) for number in _NAME_AND_BLOBS[kind])
        yield wire.text(data, name[-1]) if name else "", blobs
