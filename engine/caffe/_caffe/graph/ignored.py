"""Settings that are accepted and change nothing, so that nobody waits for their effect."""

from __future__ import annotations

from ...proto.caffe_pb2 import NetParameter
from ..log import log

_IMAGE = ("scale", "mean_file", "crop_size", "mirror")
#: field of LayerParameter -> its fields without effect
WITHOUT_EFFECT = {
    # there is one implementation of every layer, whatever the engine is called
    "convolution_param": ("engine", "force_nd_im2col"),
    "lrn_param": ("engine",),
    "pooling_param": ("engine",),
    "relu_param": ("engine",),
    "sigmoid_param": ("engine",),
    "softmax_param": ("engine",),
    "spp_param": ("engine",),
    "tanh_param": ("engine",),
    "python_param": ("share_in_parallel",),
    # Caffe moves these to transform_param in old formats, and in the current one it reads them from there
    "data_param": (*_IMAGE, "rand_skip"),
    "image_data_param": _IMAGE,
    "window_data_param": ("mean_file", "crop_size", "mirror"),
}


def ignored_fields(net: NetParameter) -> dict[str, list[str]]:
    """`message.field` of every setting without effect that `net` makes -> the layers that make it."""
    found: dict[str, list[str]] = {}
    for layer in net.layer:
        for message, fields in WITHOUT_EFFECT.items():
            if not layer.HasField(message):
                continue
            for field in filter(getattr(layer, message).HasField, fields):
                found.setdefault(f"{message}.{field}", []).append(layer.name)
    return found


def report_ignored(net: NetParameter, source: str) -> None:
    """Log one line with the settings of `net` that have no effect, if there are any."""
    found = ignored_fields(net)
    if found:
        text = "; ".join(f"{field} ({', '.join(layers)})" for field, layers in found.items())
        log.warning("%s: accepted, but without effect: %s", source, text)
