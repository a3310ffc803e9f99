"""Settings that are accepted and change nothing, so that nobody waits for their effect."""

from __future__ import annotations

from collections.abc import Mapping

from ...proto.caffe_pb2 import LayerParameter, NetParameter
from ..layer import Layer
from ..log import log
from ..registry import layer_types


def ignored_fields(net: NetParameter) -> dict[str, list[str]]:
    """Every setting without effect that `net` makes -> the layers that make it.

    A setting is `message.field`, or `message` where the layer's type does not read the message at all.
    """
    types = layer_types()
    known = frozenset(message for cls in types.values() for message in cls.reads or ())
    found: dict[str, list[str]] = {}
    for layer in net.layer:
        for setting in _ignored_by(layer, types, known):
            found.setdefault(setting, []).append(layer.name)
    return found


def _ignored_by(layer: LayerParameter, types: Mapping[str, type[Layer]], known: frozenset[str]) -> list[str]:
    cls = types.get(layer.type, Layer)
    read = known if cls.reads is None else cls.reads
    found = []
    for field, value in layer.ListFields():
        if field.name not in known:
            continue
        if field.name not in read:
            found.append(field.name)
            continue
        settings = [f"{field.name}.{inner.name}" for inner, _ in value.ListFields()]
        found += [setting for setting in settings if setting in cls.without_effect]
    return found


def report_ignored(net: NetParameter, source: str) -> None:
    """Log one line with the settings of `net` that have no effect, if there are any."""
    found = ignored_fields(net)
    if found:
        text = "; ".join(f"{field} ({', '.join(layers)})" for field, layers in found.items())
        log.warning("%s: accepted, but without effect: %s", source, text)
