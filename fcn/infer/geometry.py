"""Which scores of a part of an image are those of the whole image, computed from the layers of the net.

A part that is cut out of an image has padding where the image goes on, so scores near the cut differ. How
far that reaches follows from kernels, strides and pads: each layer is followed along both axes, and an index
of its output is exact where all that it reads is. This is the reckoning of receptive fields (Long et al.,
section 4.3, has the same for offsets), but exact to the pixel, and with the padding inside the net. It asks
for parts that start at multiples of the net's strides.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import lcm
from pathlib import Path
from typing import Any

from voc_layers.reading import SampleError

#: Layers whose every output reads the input at its own place alone, if they work along channels.
POINTWISE = (
    "AbsVal", "BatchNorm", "Bias", "BNLL", "Concat", "Dropout", "Eltwise", "ELU", "Exp", "Log", "Power",
    "PReLU", "ReLU", "Scale", "Sigmoid", "Slice", "Softmax", "Split", "TanH", "Threshold",
)  # fmt: skip
#: Of the blobs, N x C x H x W.
SPATIAL = 2


@dataclass(frozen=True)
class Line:
    """A blob along one axis.

    Attributes:
        size: how many indices there are.
        first, last: those from `first` up to, and without, `last` are as in the whole image's blob.
        step: input pixels from one index to the next.
    """

    size: int
    first: int
    last: int
    step: Fraction


@dataclass(frozen=True)
class Sides:
    """Whether the image goes on before the part, and behind it."""

    before: bool
    behind: bool


@dataclass(frozen=True)
class Slide:
    """A window that slides over its input: output i reads `extent` indices from i * stride - pad on.

    clipped: Caffe's pooling, whose last window may stick out of the input.
    """

    extent: int
    stride: int
    pad: int
    clipped: bool = False

    def follow(self, line: Line, sides: Sides) -> Line:
        """The output's line, of that of the input."""
        span = line.size + 2 * self.pad - self.extent
        size = (_up(span, self.stride) if self.clipped else span // self.stride) + 1
        if self.clipped and self.pad and (size - 1) * self.stride >= line.size + self.pad:
            size -= 1
        first = _up(line.first + self.pad, self.stride) if sides.before else 0
        last = (line.last - self.extent + self.pad) // self.stride + 1 if sides.behind else size
        return Line(size, max(0, first), min(size, last), line.step * self.stride)


@dataclass(frozen=True)
class Spread:
    """A deconvolution: each index of the input adds to `extent` of the output, from i * stride - pad on."""

    extent: int
    stride: int
    pad: int

    def follow(self, line: Line, sides: Sides) -> Line:
        """The output's line, of that of the input."""
        size = self.stride * (line.size - 1) + self.extent - 2 * self.pad
        first = (line.first - 1) * self.stride + self.extent - self.pad if sides.before else 0
        last = line.last * self.stride - self.pad if sides.behind else size
        return Line(size, max(0, first), min(size, last), line.step / self.stride)


@dataclass(frozen=True)
class Cut:
    """A crop to the size of another blob, `offset` indices in."""

    offset: int

    def follow(self, line: Line, like: Line) -> Line:
        """The output's line, of those of the blob that is cut and of the one whose size counts."""
        last = min(like.size, line.last - self.offset)
        return replace(line, size=like.size, first=max(0, line.first - self.offset), last=last)


#: What a layer does along one axis; None where each output reads its own place.
Move = Slide | Spread | Cut | None


@dataclass(frozen=True)
class Step:
    """A layer, and what it does along (H, W)."""

    name: str
    bottoms: tuple[str, ...]
    tops: tuple[str, ...]
    moves: tuple[Move, Move]


@dataclass(frozen=True)
class Geometry:
    """The layers between the inputs of a net and some of its blobs, as far as places are concerned."""

    steps: tuple[Step, ...]
    outputs: tuple[str, ...]

    @classmethod
    def of(cls, proto: Any, outputs: Sequence[str]) -> Geometry:
        """That of a NetParameter.

        Raises:
            SampleError: a layer that looks at a whole map, or that is not known here.
        """
        wanted, steps = set(outputs), []
        for layer in reversed(proto.layer):
            if wanted & set(layer.top) and layer.bottom:
                steps.append(Step(layer.name, tuple(layer.bottom), tuple(layer.top), _moves(layer)))
                wanted |= set(layer.bottom)
        return cls(tuple(reversed(steps)), tuple(outputs))

    @classmethod
    def read(cls, prototxt: Path, outputs: Sequence[str]) -> Geometry:
        """That of a file, which may be of any size of image; SampleError as above, and as of `read_proto`."""
        return cls.of(read_proto(prototxt), outputs)

    def grid(self, axis: int) -> int:
        """The multiple of pixels at which a part has to start; axis: 0 of rows, 1 of columns."""
        lines = self._lines(axis, Line(1 << 20, 0, 1 << 20, Fraction(1)), Sides(False, False))
        return lcm(*(line.step.numerator for line in lines.values()))

    def sizes(self, axis: int, length: int) -> dict[str, int]:
        """How many indices each blob has along an axis, of an image of `length` pixels.

        Of an image that is too small for the net there is a blob with none, or with less than none.
        """
        image = Line(length, 0, length, Fraction(1))
        return {name: line.size for name, line in self._lines(axis, image, Sides(False, False)).items()}

    def exact(self, axis: int, length: int, sides: Sides) -> tuple[int, int]:
        """The scores (from, up to) of a part of `length` pixels that are the whole image's.

        Of a part that starts at a multiple of `grid`. Where there are none, `up to` is not above `from`.
        """
        lines = self._lines(axis, Line(length, 0, length, Fraction(1)), sides)
        ends = [lines[name] for name in self.outputs]
        return max(line.first for line in ends), min(line.last for line in ends)

    def _lines(self, axis: int, image: Line, sides: Sides) -> dict[str, Line]:
        """Every blob's line; blobs that no layer here makes are inputs."""
        lines: dict[str, Line] = {}
        for step in self.steps:
            read = [lines.setdefault(name, image) for name in step.bottoms]
            lines.update(dict.fromkeys(step.tops, _through(step.moves[axis], read, sides)))
        return lines


def read_proto(prototxt: Path) -> Any:
    """The NetParameter of a file, without making the net.

    Raises:
        SampleError: it is no prototxt, or one of the old format.
    """
    from google.protobuf import text_format

    from caffe.proto import caffe_pb2

    try:
        proto = text_format.Parse(prototxt.read_text(), caffe_pb2.NetParameter())
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise SampleError(f"{prototxt}: not a prototxt: {error}") from error
    if proto.layers:
        raise SampleError(
            f"{prototxt}: layers of the old format, whose places are not followed; rewrite it with "
            "`caffe upgrade_net_proto_text`"
        )
    return proto


def can_follow(layer: Any) -> bool:
    """Whether it can be said which places of its bottoms a layer reads."""
    try:
        _moves(layer)
    except SampleError:
        return False
    return True


def _through(move: Move, read: Sequence[Line], sides: Sides) -> Line:
    if isinstance(move, Cut):
        return move.follow(*read)
    if move is not None:
        return move.follow(read[0], sides)
    planes = [line for line in read if line.step == read[0].step]
    return replace(read[0], first=max(p.first for p in planes), last=min(p.last for p in planes))


def _up(value: int, by: int) -> int:
    """A quotient, rounded up."""
    return -(-value // by)


def _moves(layer: Any) -> tuple[Move, Move]:
    """What a layer does along each axis; SampleError where that cannot be said."""
    if layer.type in ("Convolution", "Deconvolution") and layer.convolution_param.axis == 1:
        p = layer.convolution_param
        rows, columns = _checked(layer, _windows(p, p.dilation))
        kind = Slide if layer.type == "Convolution" else Spread
        return kind(*rows), kind(*columns)
    if layer.type == "Pooling" and not layer.pooling_param.global_pooling:
        rows, columns = _checked(layer, _windows(layer.pooling_param))
        return Slide(*rows, clipped=True), Slide(*columns, clipped=True)
    if layer.type == "Crop" and layer.crop_param.axis <= SPATIAL:
        return _cuts(layer)
    if layer.type == "LRN":
        p = layer.lrn_param
        within = p.norm_region == p.WITHIN_CHANNEL
        move = Slide(p.local_size, 1, p.local_size // 2) if within else None
        return move, move
    if layer.type in POINTWISE and _stays(layer):
        return None, None
    raise SampleError(
        f"layer '{layer.name}' ({layer.type}): how far it looks cannot be followed, so an image cannot be "
        "computed in parts"
    )


def _stays(layer: Any) -> bool:
    """Whether a layer of a type in POINTWISE is set to read its own place alone."""
    if layer.type == "BatchNorm":
        p = layer.batch_norm_param
        return bool(p.use_global_stats or not p.HasField("use_global_stats"))
    along = {"Concat": "concat_param", "Slice": "slice_param", "Softmax": "softmax_param"}.get(layer.type)
    return along is None or getattr(layer, along).axis == 1


def _checked(layer: Any, windows: Iterable[tuple[int, int, int]]) -> Sequence[tuple[int, int, int]]:
    """The windows of a layer; SampleError where one is none."""
    found = list(windows)
    if any(extent < 1 or stride < 1 for extent, stride, _ in found):
        raise SampleError(f"layer '{layer.name}' ({layer.type}): kernel and stride have to be 1 or more")
    return found


def _windows(p: Any, dilation: Sequence[int] = ()) -> Iterator[tuple[int, int, int]]:
    """(extent, stride, pad) along H, then along W, of a layer with a kernel."""
    for axis, letter in enumerate("hw"):
        kernel = _value(p, ("kernel_size", f"kernel_{letter}"), axis, 1)
        stride = _value(p, ("stride", f"stride_{letter}"), axis, 1)
        pad = _value(p, ("pad", f"pad_{letter}"), axis, 0)
        holes = dilation[min(axis, len(dilation) - 1)] if dilation else 1
        yield (kernel - 1) * holes + 1, stride, pad


def _value(p: Any, names: tuple[str, str], axis: int, default: int) -> int:
    """A setting of a kernel: a field for each axis, or one with a number, a list or nothing for both."""
    both, own = names
    if p.HasField(own):
        return int(getattr(p, own))
    value = getattr(p, both)
    if isinstance(value, int):
        return value if p.HasField(both) else default
    return int(value[min(axis, len(value) - 1)]) if len(value) else default


def _cuts(layer: Any) -> tuple[Cut, Cut]:
    p = layer.crop_param
    offsets = list(p.offset) or [0]
    if len(layer.bottom) != 2 or len(offsets) not in (1, SPATIAL + 2 - p.axis):
        raise SampleError(
            f"layer '{layer.name}' (Crop): expected two bottoms, and one offset or one for each axis from "
            f"{p.axis} on, found {len(layer.bottom)} and {len(offsets)}"
        )
    if len(offsets) == 1:
        return Cut(offsets[0]), Cut(offsets[0])
    along = [offsets[axis - p.axis] for axis in (SPATIAL, SPATIAL + 1)]
    return Cut(along[0]), Cut(along[1])
