"""From a filtered, split net text to a plan: who reads and writes which blob (Caffe: net.cpp Init)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..errors import NetError
from .defaults import with_defaults
from .plan import LayerPlan, Plan

if TYPE_CHECKING:
    from ...proto.caffe_pb2 import LayerParameter, NetParameter, Phase
    from ..layer import Layer

AUTOMATIC = "(automatic)"


@dataclass
class _Blobs:
    """The blobs made so far."""

    names: list[str] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)
    unread: dict[str, int] = field(default_factory=dict)

    def make(self, name: str) -> int:
        self.names.append(name)
        return len(self.names) - 1


def wire(net: NetParameter, kinds: Sequence[type[Layer]]) -> Plan:
    """The plan of `net` as far as its text tells: `share_parameters` and `plan_backward` complete it.

    Args:
        net: what `insert_splits` returned, so that every bottom is there, with one reader.
        kinds: the class of each layer.

    Raises:
        NetError: a blob produced twice, or a number of bottoms, tops, loss weights or propagate_down that is
            not right.
    """
    blobs = _Blobs()
    layers = [_wire_layer(layer, kind, net.state.phase, blobs) for layer, kind in zip(net.layer, kinds)]
    return Plan(
        name=net.name,
        phase=net.state.phase,
        layers=tuple(layers),
        blob_names=tuple(blobs.names),
        inputs=tuple(top for layer in layers if layer.kind.is_input for top in layer.tops),
        outputs=tuple(blobs.unread[name] for name in sorted(blobs.unread, key=str.encode)),
    )


def _wire_layer(layer: LayerParameter, kind: type[Layer], phase: Phase, blobs: _Blobs) -> LayerPlan:
    if layer.propagate_down and len(layer.propagate_down) != len(layer.bottom):
        raise NetError(
            f"layer '{layer.name}' ({layer.type}): propagate_down must be given once per bottom or not "
            f"at all: {len(layer.propagate_down)} given, {len(layer.bottom)} bottoms"
        )
    bottoms = tuple(blobs.unread.pop(name) for name in layer.bottom)
    tops = _write_tops(layer, kind, blobs)
    _check_arity(layer, kind, len(bottoms), len(tops))
    param = with_defaults(layer, kind, phase)
    return LayerPlan(
        param=param,
        kind=kind,
        bottoms=bottoms,
        tops=tops,
        loss_weights=_loss_weights(param, len(tops)),
        propagate_down=tuple(layer.propagate_down),
        # As written: the lr_mult 0 that a class gives its parameters stops their update, not the backward.
        param_flags=tuple(spec.lr_mult != 0 for spec in layer.param),
    )


def _write_tops(layer: LayerParameter, kind: type[Layer], blobs: _Blobs) -> tuple[int, ...]:
    tops = []
    for index, name in enumerate(layer.top):
        in_place = index < len(layer.bottom) and layer.bottom[index] == name
        if not in_place:
            if name in blobs.numbers:
                raise NetError(
                    f"Top blob '{name}' produced by multiple sources: layer '{layer.name}' writes it again. "
                    "Give it a name of its own, or the bottom's name to work in place"
                )
            blobs.numbers[name] = blobs.make(name)
        blobs.unread[name] = blobs.numbers[name]
        tops.append(blobs.numbers[name])
    if kind.auto_top:
        tops += [blobs.make(AUTOMATIC) for _ in range(len(tops), kind.tops.least)]
    return tuple(tops)


def _check_arity(layer: LayerParameter, kind: type[Layer], bottoms: int, tops: int) -> None:
    for what, count, arity in (("bottom", bottoms, kind.bottoms), ("top", tops, kind.tops)):
        if not arity.allows(count):
            raise NetError(f"layer '{layer.name}': {layer.type} takes {arity} {what} blob(s), {count} given")
    if kind.same_tops and bottoms != tops:
        raise NetError(
            f"layer '{layer.name}': {layer.type} makes one top per bottom: {bottoms} bottoms, {tops} tops"
        )


def _loss_weights(param: LayerParameter, tops: int) -> tuple[float, ...]:
    if param.loss_weight and len(param.loss_weight) != tops:
        raise NetError(
            f"layer '{param.name}' ({param.type}): loss_weight must be unspecified or specified once per "
            f"top: {len(param.loss_weight)} given, {tops} top(s)"
        )
    return tuple(param.loss_weight) or (0.0,) * tops
