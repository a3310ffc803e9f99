"""Where a Crop that has no offset cuts, in the Caffe of the first fully convolutional nets.

The format of 2014 has no Crop; the `future` branch of longjon/caffe, and HED's fork, have one that finds its
offset itself: it follows both bottoms back to where they meet, always through the first bottom, and composes
how each layer on the way moves coordinates.
Source: crop_layer.cpp and util/coords.hpp of these branches; the paper's section 4.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from ...proto.caffe_pb2 import LayerParameter, NetParameter
from ..errors import NetError
from ..log import log

_KEEPS_COORDINATES = frozenset(
    {
        "AbsVal", "BatchNorm", "Bias", "BNLL", "Clip", "Concat", "Dropout", "ELU", "Eltwise", "Exp", "LRN",
        "Log", "MVN", "PReLU", "Power", "ReLU", "Scale", "Sigmoid", "Slice", "Softmax", "Split", "Swish",
        "TanH", "Threshold",
    }
)  # fmt: skip
_AXIS = 2  # the first that is cropped


class _Unknown(Exception):
    """The offset cannot be told, for the reason that this says."""


class _Map(NamedTuple):
    """Coordinate x of a layer's input lies at scale * x + shift of its output, along one axis."""

    scale: Fraction
    shift: Fraction

    def after(self, other: _Map) -> _Map:
        """This map of what `other` makes."""
        return _Map(self.scale * other.scale, self.scale * other.shift + self.shift)

    def inverse(self) -> _Map:
        """The map the other way."""
        return _Map(1 / self.scale, -self.shift / self.scale)


_IDENTITY = _Map(Fraction(1), Fraction(0))


def with_offsets(net: NetParameter) -> NetParameter:
    """A net that comes from the format of 2014, its Crops with the offset that they had there.

    Returns:
        `net` itself if there are none, else a new message.

    Raises:
        NetError: the offset of one cannot be told; the message says how to write it.
    """
    crops = [number for number, layer in enumerate(net.layer) if layer.type == "Crop"]
    if not crops:
        return net
    result = NetParameter()
    result.CopyFrom(net)
    for number in crops:
        _set_offset(result, number)
    return result


def _set_offset(net: NetParameter, number: int) -> None:
    layer = net.layer[number]
    try:
        offset = crop_offset(net, number)
    except _Unknown as reason:
        raise NetError(
            f"layer '{layer.name}' (Crop): its offset, which the format of 2014 leaves to the net, cannot be "
            f'told: {reason}. Write it as layer {{ type: "Crop" .. crop_param {{ axis: 2 offset: .. }} }} '
            "and the other layers in that format too"
        ) from reason
    layer.crop_param.axis = _AXIS
    layer.crop_param.offset.extend(offset)
    log.info("Crop layer %s takes its offset from the net: %s", layer.name, offset)


def warn_of_zero_offsets(net: NetParameter, source: str) -> None:
    """Log which Crops without an offset, which Caffe starts at 0, the forks would start elsewhere."""
    for number, layer in enumerate(net.layer):
        if layer.type != "Crop" or layer.crop_param.offset or len(layer.bottom) != 2:
            continue
        try:
            offset = crop_offset(net, number)
        except _Unknown:
            continue
        if any(offset):
            log.warning(
                "%s: layer '%s' (Crop) has no offset and starts at 0, as in Caffe; the Caffe of HED, and "
                "Caffe's future branch, would start at %s: crop_param { axis: %d %s } does",
                source, layer.name, offset, _AXIS, " ".join(f"offset: {start}" for start in offset),
            )  # fmt: skip


def crop_offset(net: NetParameter, number: int) -> list[int]:
    """The offset along the two spatial axes that lines up the bottoms of the Crop that is layer `number`."""
    layer = net.layer[number]
    if len(layer.bottom) != 2 or layer.bottom[0] == layer.bottom[1]:
        raise _Unknown("it needs two bottoms, one that is cut and another one that says to what size")
    cut, reference = (_way_back(net, number, blob) for blob in layer.bottom)
    where = {blob: index for index, (blob, _) in enumerate(cut)}
    meeting = next((index for index, (blob, _) in enumerate(reference) if blob in where), None)
    if meeting is None:
        raise _Unknown(f"'{layer.bottom[0]}' and '{layer.bottom[1]}' do not come from one blob")
    ways = cut[: where[reference[meeting][0]]], reference[:meeting]
    if not any(made.type not in _KEEPS_COORDINATES for way in ways for _, made in way):
        raise _Unknown("no layer with a kernel lies between its bottoms")
    return [_offset(*(_along(net, way, axis) for way in ways)) for axis in (0, 1)]


def _way_back(net: NetParameter, number: int, blob: str) -> list[tuple[str, Any]]:
    """The blobs from `blob` to the net's input, always through the first bottom, each with its layer."""
    makers: dict[str, LayerParameter] = {}
    for layer in net.layer[:number]:
        for top in layer.top:
            makers.setdefault(top, layer)  # the first: those after it work in place
    way = []
    while blob in makers:
        maker = makers[blob]
        way.append((blob, maker))
        if not maker.bottom:
            return way
        blob = maker.bottom[0]
    raise _Unknown(f"no layer above makes '{blob}'")


def _along(net: NetParameter, way: Sequence[tuple[str, LayerParameter]], axis: int) -> _Map:
    """The map from the end of a way back to its beginning."""
    result = _IDENTITY
    for _, layer in way:
        result = result.after(_layer_map(layer, axis))
    return result


def _offset(cut: _Map, reference: _Map) -> int:
    whole = reference.after(cut.inverse())
    if whole.scale != 1:
        raise _Unknown(f"one pixel of what is cut is {float(whole.scale):g} of the other")
    if whole.shift > 0 or whole.shift.denominator != 1:
        raise _Unknown(f"it would be {float(-whole.shift):g}, which is no number of pixels")
    return -int(whole.shift)


def _layer_map(layer: LayerParameter, axis: int) -> _Map:
    if layer.type in _KEEPS_COORDINATES:
        return _IDENTITY
    if layer.type in ("Convolution", "Deconvolution"):
        enlarges = _kernel_map(layer.convolution_param, axis)
        return enlarges if layer.type == "Deconvolution" else enlarges.inverse()
    if layer.type == "Pooling" and not layer.pooling_param.global_pooling:
        return _kernel_map(layer.pooling_param, axis).inverse()
    if layer.type == "Crop" and len(layer.crop_param.offset) in (1, 2) and layer.crop_param.axis == _AXIS:
        return _Map(
            Fraction(1), Fraction(-layer.crop_param.offset[min(axis, len(layer.crop_param.offset) - 1)])
        )
    raise _Unknown(f"coordinates cannot be followed through layer '{layer.name}' ({layer.type})")


def _kernel_map(settings: Any, axis: int) -> _Map:
    """From the small side of a layer with a kernel to the large one: stride * x + (kernel - 1) / 2 - pad."""
    kernel = _setting(settings, "kernel_size", "kernel", axis, 0)
    if not kernel:
        raise _Unknown("a layer on the way has no kernel_size")
    dilation = _setting(settings, "dilation", "", axis, 1)
    pad = _setting(settings, "pad", "pad", axis, 0)
    extent = (kernel - 1) * dilation + 1
    return _Map(Fraction(_setting(settings, "stride", "stride", axis, 1)), Fraction(extent - 1, 2) - pad)


def _setting(settings: Any, both: str, each: str, axis: int, default: int) -> int:
    """A setting given for both axes, as a list of one or two, or with `_h` and `_w`."""
    own = f"{each}_{'hw'[axis]}"
    if each and settings.HasField(own):
        return int(getattr(settings, own))
    value = getattr(settings, both, default)
    if isinstance(value, int):
        return value
    return int(value[min(axis, len(value) - 1)]) if value else default
