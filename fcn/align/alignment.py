"""The places of a net's maps, its crops, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nets
from caffe.net_spec import Top

from ..infer.geometry import Cut, Geometry, Step, can_follow, read_proto
from ..runs import Run
from ..tables import table
from .maps import Pair, Place, first_place, place, tops

#: Layers on both sides of which a map is shown: it is enlarged, cut, or meets another.
SHOWN = ("Deconvolution", "Crop", "Eltwise")
AXES = (0, 1)
SAME = Place((1, 1), (0, 0))

#: The smallest and the largest offset with which a crop stays inside what it cuts, along an axis.
Range = tuple[int, int]


@dataclass(frozen=True)
class Blob:
    """A map of the net: where it lies over the image (None: no way leads there), its size (H, W)."""

    name: str
    place: Place | None
    shape: tuple[int, int]


@dataclass(frozen=True)
class Crop:
    """A Crop layer, along (H, W).

    Attributes:
        cuts, to: the blob that is cut, and the one that gives the size.
        offset: as the net has it.
        lies: where `to` lies over `cuts`; None where no way leads from one to the other.
        fits: the offsets that fit at the size that was asked for.
        always: those that fit at every size from there on.
    """

    layer: str
    cuts: str
    to: str
    offset: tuple[int, int]
    lies: Place | None
    fits: tuple[Range, Range]
    always: tuple[Range, Range]

    @property
    def aligned(self) -> Pair | None:
        """The offset that lays the two over each other; None where it is not known or there is none."""
        return self.lies.first if self.lies and self.lies.stride == (1, 1) else None

    @property
    def problems(self) -> list[str]:
        """What is wrong, a line each."""
        said = []
        if self.lies and self.lies.stride != (1, 1):
            scale = _pair(self.lies.stride)
            said.append(f"{self.to} has a pixel for {scale} of {self.cuts}: no offset lines them up")
        elif self.aligned not in (None, self.offset):
            said.append(f"the offset is {_pair(self.offset)}, lined up it would be {_pair(self.aligned)}")
        if any(not low <= offset <= high for offset, (low, high) in zip(self.offset, self.fits)):
            said.append(f"the offset {_pair(self.offset)} does not fit: {_ranges(self.fits)} would")
        return [f"{self.layer}: {line}" for line in said]


@dataclass(frozen=True)
class Alignment:
    """Where the maps of a net lie, at one size (H, W) of its image.

    Attributes:
        left_out: layers whose places cannot be followed; what reads them is left out too.
        apart: sums of maps that do not lie over each other, a line each.
    """

    net: str
    size: tuple[int, int]
    blobs: tuple[Blob, ...]
    crops: tuple[Crop, ...]
    left_out: tuple[str, ...]
    apart: tuple[str, ...]

    @property
    def problems(self) -> list[str]:
        """What is wrong, a line each."""
        empty = [blob.name for blob in self.blobs if min(blob.shape) < 1]
        small = [f"an image of {_shape(self.size)} is too small: {', '.join(empty)} would be empty"]
        return [
            *(small if empty else ()),
            *(line for crop in self.crops for line in crop.problems),
            *self.apart,
        ]

    def text(self) -> str:
        """Tables, then what is wrong."""
        parts = [f"{self.net}, image of {_shape(self.size)}", "", _blob_table(self.blobs)]
        parts += ["", _crop_table(self.crops)] if self.crops else []
        if self.left_out:
            parts += ["", f"cannot be followed, nor what reads them: {', '.join(self.left_out)}"]
        parts += ["", *(f"WRONG {line}" for line in self.problems)] if self.problems else []
        return "\n".join(parts) + "\n"

    def as_json(self) -> dict[str, Any]:
        """For programs; pairs are (H, W)."""
        return {
            "net": self.net,
            "size": self.size,
            "blobs": [
                {"name": blob.name, "shape": blob.shape, **_place_facts(blob.place)} for blob in self.blobs
            ],
            "crops": [
                {
                    "layer": crop.layer,
                    "cuts": crop.cuts,
                    "to": crop.to,
                    "offset": crop.offset,
                    "aligned": crop.aligned,
                    "fits": crop.fits,
                    "always": crop.always,
                }
                for crop in self.crops
            ],
            "left_out": self.left_out,
            "problems": self.problems,
        }


def align(net: str | Path, size: tuple[int, int] = (500, 500)) -> Alignment:
    """Where the maps of a net lie over an image of `size` (H, W).

    Args:
        net: the id of a model, a prototxt, or the folder of a run.

    Raises:
        ValueError: neither of them.
        SampleError: a file that is no prototxt, or one of the old format.
    """
    proto = _proto(net)
    layers, left_out = _followed(proto)
    geometry = Geometry.of(proto, _ends(layers))
    return Alignment(str(net), size, *_measured(geometry, layers, size), left_out, _apart(geometry, layers))


def _proto(net: str | Path) -> Any:
    path = Path(net)
    if str(net) in nets.MODELS:
        return nets.build(str(net), "deploy")
    if path.is_dir():
        path = Run(path).net("deploy")
    if not path.is_file():
        raise ValueError(f"{net}: expected a prototxt, a run, or one of {', '.join(nets.MODELS)}; found none")
    return read_proto(path)


def _followed(proto: Any) -> tuple[list[Any], tuple[str, ...]]:
    """The layers that move maps, and the names of those whose places cannot be followed."""
    kept: list[Any] = []
    lost: set[str] = set()
    left_out: list[str] = []
    for layer in proto.layer:
        if not layer.bottom:
            continue
        if lost & set(layer.bottom):
            lost |= set(layer.top)
        elif can_follow(layer):
            kept.append(layer)
        else:
            lost |= set(layer.top)
            left_out.append(f"{layer.name} ({layer.type})")
    return kept, tuple(left_out)


def _ends(layers: list[Any]) -> tuple[str, ...]:
    """The blobs that no other of the layers reads."""
    read = {name for layer in layers for name in layer.bottom if name not in layer.top}
    return tuple(dict.fromkeys(name for layer in layers for name in layer.top if name not in read))


def _measured(
    geometry: Geometry, layers: list[Any], size: tuple[int, int]
) -> tuple[tuple[Blob, ...], tuple[Crop, ...]]:
    made = tops(geometry)
    shapes = _shapes(geometry, size)
    around = (name for layer in layers if layer.type in SHOWN for name in (*layer.bottom, *layer.top))
    shown = dict.fromkeys((*around, *geometry.outputs))
    inputs = [top for top in made.values() if not top.fn.inputs]
    blobs = tuple(Blob(name, first_place(made[name], inputs), shapes[name]) for name in shown if name in made)
    crops = tuple(
        _crop(step, geometry, made, size) for step in geometry.steps if isinstance(step.moves[0], Cut)
    )
    return blobs, crops


def _shapes(geometry: Geometry, size: tuple[int, int]) -> Mapping[str, tuple[int, int]]:
    rows, columns = (geometry.sizes(axis, size[axis]) for axis in AXES)
    return {name: (rows[name], columns[name]) for name in rows}


def _crop(step: Step, geometry: Geometry, made: Mapping[str, Top], size: tuple[int, int]) -> Crop:
    rows, columns = step.moves
    assert isinstance(rows, Cut) and isinstance(columns, Cut)
    cuts, to = step.bottoms
    room = [_room(geometry, axis, size[axis], cuts, to) for axis in AXES]
    (rows_here, rows_always), (columns_here, columns_always) = room
    return Crop(
        step.name,
        cuts,
        to,
        (rows.offset, columns.offset),
        place(made[to], made[cuts]),
        ((0, rows_here), (0, columns_here)),
        ((0, rows_always), (0, columns_always)),
    )


def _room(geometry: Geometry, axis: int, length: int, cuts: str, to: str) -> tuple[int, int]:
    """By how much a blob is longer than another: at a length of the image, and at least from there on.

    Lengths that differ by the geometry's grid have the same rests in all divisions, so one grid shows all.
    """
    found = []
    for pixels in range(length, length + geometry.grid(axis)):
        sizes = geometry.sizes(axis, pixels)
        found.append(sizes[cuts] - sizes[to])
    return found[0], min(found)


def _apart(geometry: Geometry, layers: list[Any]) -> tuple[str, ...]:
    """Sums whose maps do not lie over each other."""
    made = tops(geometry)
    said = []
    for layer in layers:
        if layer.type != "Eltwise":
            continue
        first, *others = dict.fromkeys(layer.bottom)
        for other in others:
            found = place(made[other], made[first])
            if found not in (None, SAME):
                off = f"by {_pair(found.first)}" if found.stride == (1, 1) else "and differ in scale"
                said.append(f"{layer.name}: {first} and {other} are added, but lie apart {off}")
    return tuple(said)


# -- shown --------------------------------------------------------------------------------------------


def _blob_table(blobs: tuple[Blob, ...]) -> str:
    rows = []
    for blob in blobs:
        where = (_pair(blob.place.stride), _pair(blob.place.first)) if blob.place else ("-", "-")
        rows.append((blob.name, *where, _shape(blob.shape)))
    return table(("blob", "stride", "index 0 at", "shape"), rows)


def _crop_table(crops: tuple[Crop, ...]) -> str:
    rows = [
        (
            crop.layer,
            crop.cuts,
            crop.to,
            _pair(crop.offset),
            _pair(crop.aligned) if crop.aligned else "-",
            _ranges(crop.fits),
            _ranges(crop.always),
        )
        for crop in crops
    ]
    return table(("crop", "cuts", "to", "offset", "aligned", "fits", "fits always"), rows)


def _pair(values: tuple[float, float]) -> str:
    """A number where both axes agree, else H x W."""
    height, width = (f"{value:g}" for value in values)
    return height if height == width else f"{height}x{width}"


def _shape(values: tuple[int, int]) -> str:
    return "x".join(map(str, values))


def _ranges(values: tuple[Range, Range]) -> str:
    said = [f"{low}..{high}" if low <= high else "none" for low, high in values]
    return said[0] if said[0] == said[1] else " x ".join(said)


def _place_facts(found: Place | None) -> dict[str, Any]:
    return {"stride": found.stride if found else None, "first": found.first if found else None}
