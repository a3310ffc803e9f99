"""``caffe summary NET``: layers, shapes, parameters, multiply-adds and memory, before anything runs."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..._caffe.log import quiet
from ...proto import caffe_pb2

if TYPE_CHECKING:
    from ..._caffe import Footprint, Layer

Shapes = dict[str, tuple[int, ...]]


def main(argv: Sequence[str] | None = None) -> int:
    """Print the summary of a net. Returns 1 if it can be built in neither phase asked for."""
    args = _parser().parse_args(argv)
    phases = [args.phase] if args.phase else ["TRAIN", "TEST"]
    built: dict[str, Footprint] = {}
    for phase in phases:
        try:
            with quiet():
                built[phase] = measure(args.net, phase, dict(args.shapes), args.size, args.level, args.stage)
        except RuntimeError as error:
            sys.stdout.write(f"{phase}: cannot be built: {error}\n")
    tables = list(built.items())
    if len(tables) == 2 and tables[0][1].layers == tables[1][1].layers:
        tables = [("TRAIN and TEST", tables[0][1])]
    for title, found in tables:
        sys.stdout.write("\n".join([f"{title}:", *table(found), ""]))
    for phase, found in built.items():
        sys.stdout.write(f"{phase:<6}{memory_line(phase, found)}\n")
    return 0 if built else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="caffe summary", description=__doc__)
    parser.add_argument("net", metavar="NET", help="a net prototxt")
    parser.add_argument(
        "shapes", metavar="TOP=DIMS", nargs="*", type=_shape,
        help="the shape of an input or of a data layer's top, as data=1x3x500x500",
    )  # fmt: skip
    parser.add_argument(
        "--size", metavar="HxW", type=_size,
        help="height and width of every input image; data layers that are not given by TOP=DIMS are taken "
        "to make a 1x3xHxW image and 1x1xHxW labels",
    )  # fmt: skip
    parser.add_argument("--phase", choices=("TRAIN", "TEST"), help="only this phase")
    parser.add_argument("--level", type=int, default=0, help="level of the NetState")
    parser.add_argument("--stage", action="append", default=[], help="stage of the NetState; may be repeated")
    return parser


def _dims(text: str) -> tuple[int, ...]:
    try:
        dims = tuple(int(part) for part in text.lower().split("x"))
    except ValueError:
        dims = ()
    if not dims or min(dims) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not numbers with x between them, as 1x3x500x500")
    return dims


def _size(text: str) -> tuple[int, ...]:
    dims = _dims(text)
    if len(dims) != 2:
        raise argparse.ArgumentTypeError(f"'{text}' is not HxW, as 500x375")
    return dims


def _shape(text: str) -> tuple[str, tuple[int, ...]]:
    name, equals, dims = text.rpartition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"'{text}' is not TOP=DIMS, as data=1x3x500x500")
    return name, _dims(dims)


# -- measuring ----------------------------------------------------------------------------------------


def measure(
    path: str,
    phase: str,
    shapes: Shapes,
    size: Sequence[int] | None = None,
    level: int = 0,
    stages: Sequence[str] = (),
) -> Footprint:
    """Build the net of a prototxt, at the given shapes and without its data, and measure it.

    Args:
        phase: "TRAIN" or "TEST".
        shapes: of inputs and of data layers' tops, by name.
        size: height and width for all other images.

    Raises:
        CaffeError: the file cannot be read, the net cannot be built, or no input has a given name.
    """
    from ... import Net
    from ..._caffe import CaffeError, net_footprint, read_net

    param = read_net(path)
    param.state.phase = getattr(caffe_pb2, phase)
    param.state.level = level
    param.state.stage.extend(stages)
    unknown = set(shapes) - {top for layer in param.layer if not layer.bottom for top in layer.top}
    if unknown:
        raise CaffeError(f"{path}: no input or data layer has a top '{min(unknown)}'")
    for layer in param.layer:
        _without_fillers(layer)
        if not layer.bottom and not _kind(layer).tops_are_params:
            _set_shapes(layer, shapes, size)
    try:
        net = Net.from_proto(param, path)
        return net_footprint(net.plan, net.runner.layers, net.runner.blobs)
    except CaffeError as error:
        outside = [layer for layer in param.layer if not layer.bottom and _kind(layer).brings_data]
        if not any(f"layer '{layer.name}' (" in str(error) for layer in outside):
            raise
        raise CaffeError(f"{error}\nto measure without data give the shapes, as TOP=1x3x500x500") from error


def _kind(layer: caffe_pb2.LayerParameter) -> type[Layer]:
    """The class of a layer; one that brings data is stood in for by an Input where the shapes are known."""
    from ..._caffe import Layer, layer_types

    return layer_types().get(layer.type, Layer)


def _without_fillers(layer: caffe_pb2.LayerParameter) -> None:
    """Zeros cost nothing to make; what a filler would draw is not looked at."""
    for _, message in layer.ListFields():
        for field in _fillers(message):
            message.ClearField(field)


def _fillers(message: Any) -> Iterator[str]:
    for field in getattr(message, "DESCRIPTOR", None) and message.DESCRIPTOR.fields or ():
        if field.message_type is caffe_pb2.FillerParameter.DESCRIPTOR:
            yield field.name


def _set_shapes(layer: caffe_pb2.LayerParameter, shapes: Shapes, size: Sequence[int] | None) -> None:
    """Make an Input of a layer without bottoms, if the shapes of all its tops are known."""
    known = _present_shapes(layer)
    if size and not known and _kind(layer).brings_data:
        known = [(1, 1 if index else 3, *size) for index in range(len(layer.top))]
    elif size:
        known = [(*dims[:2], *size) if len(dims) == 4 and max(dims[2:]) > 1 else dims for dims in known]
    found = [shapes.get(top) or (known[index] if known else None) for index, top in enumerate(layer.top)]
    if not all(found) or (layer.type != "Input" and not size and not set(shapes) & set(layer.top)):
        return
    layer.type = "Input"
    layer.ClearField("input_param")
    for dims in found:
        layer.input_param.shape.add(dim=dims)


def _present_shapes(layer: caffe_pb2.LayerParameter) -> list[tuple[int, ...]]:
    """The shapes an Input or DummyData states, one per top; empty where they are not stated."""
    if layer.type not in ("Input", "DummyData"):
        return []
    dummy = layer.dummy_data_param
    dims = [tuple(shape.dim) for shape in (layer.input_param if layer.type == "Input" else dummy).shape]
    if layer.type == "DummyData" and dummy.num:
        columns = [list(getattr(dummy, field)) for field in ("num", "channels", "height", "width")]
        dims = list(zip(*(column * (len(layer.top) // len(column) or 1) for column in columns)))
    return dims * len(layer.top) if len(dims) == 1 else dims


# -- printing -----------------------------------------------------------------------------------------

_HEAD = ("layer", "type", "top", "shape", "params", "mult-adds", "memory")


def table(found: Footprint) -> list[str]:
    """One line per top, under a head and over the totals."""
    rows: list[Sequence[str]] = [_HEAD]
    for layer in found.layers:
        costs = _count(layer.params), _count(layer.macs), bytes_text(layer.memory) if layer.memory else ""
        tops = layer.tops or (("", ()),)
        for index, (name, dims) in enumerate(tops):
            shape = "x".join(map(str, dims)) or ("scalar" if name else "")
            first = index == 0
            rows.append((layer.name if first else "", layer.type if first else "", name, shape,
                         *(costs if first else ("", "", ""))))  # fmt: skip
    rows.append(("total", "", "", "", _count(found.learned), _count(found.macs), bytes_text(found.data)))
    widths = [max(map(len, column)) for column in zip(*rows)]
    return [
        "  ".join(f"{cell:<{w}}" if i < 4 else f"{cell:>{w}}" for i, (cell, w) in enumerate(zip(row, widths)))
        .rstrip()
        for row in rows
    ]  # fmt: skip


def memory_line(phase: str, found: Footprint) -> str:
    """The memory of a phase and what it is made of."""
    if phase == "TEST":
        parts = f"blobs {bytes_text(found.data)}, parameters {bytes_text(found.params)}"
        return f"{bytes_text(found.testing)}: {parts}"
    backward = "" if found.diffs else " (no loss: nothing runs backward)"
    return (
        f"{bytes_text(found.training())}: blobs {bytes_text(found.data)}, their gradients "
        f"{bytes_text(found.diffs)}{backward}, parameters with gradients and one history "
        f"{bytes_text(3 * found.params)}"
    )


def bytes_text(count: float) -> str:
    """Bytes in the unit that suits: 1.5 MiB."""
    power = min(int(math.log2(count) // 10), 4) if count >= 1 else 0
    unit = ("B", "KiB", "MiB", "GiB", "TiB")[power]
    return f"{count:.0f} B" if not power else f"{count / 1024**power:.1f} {unit}"


def _count(number: int) -> str:
    return f"{number:,}" if number else ""
