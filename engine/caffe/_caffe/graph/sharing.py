"""Who owns a parameter, who shares it, and how fast it learns (Caffe: net.cpp AppendParam)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...proto.caffe_pb2 import ParamSpec
from ..errors import NetError
from .plan import Parameter, Plan

Shape = tuple[int, ...]


@dataclass(frozen=True)
class _Use:
    layer: int
    index: int
    shape: Shape
    spec: ParamSpec
    owner: int


def share_parameters(plan: Plan, shapes: Sequence[Sequence[Shape]]) -> Plan:
    """The plan with its parameters: the first of a name owns the memory, later ones share it.

    Args:
        shapes: of each layer's parameters, once the layer is set up.

    Raises:
        NetError: more param specs than blobs, shapes or multipliers of sharers that disagree.
    """
    uses = _uses(plan, shapes)
    families: dict[int, list[_Use]] = {}
    for use in uses:
        families.setdefault(use.owner, []).append(use)
    multipliers = {}
    for owner, family in families.items():
        for use in family[1:]:
            _check_shape(plan, family[0], use)
        multipliers[owner] = [_multiplier(plan, family, field) for field in ("lr_mult", "decay_mult")]
    parameters = [
        Parameter(
            layer=use.layer,
            index=use.index,
            shape=use.shape,
            name=use.spec.name,
            owner=None if use.owner == number else use.owner,
            lr_mult=multipliers[use.owner][0],
            decay_mult=multipliers[use.owner][1],
        )
        for number, use in enumerate(uses)
    ]
    layers = [
        replace(layer, param_flags=layer.param_flags + (True,) * (len(blobs) - len(layer.param_flags)))
        for layer, blobs in zip(plan.layers, shapes)
    ]
    return replace(plan, layers=tuple(layers), parameters=tuple(parameters))


def _uses(plan: Plan, shapes: Sequence[Sequence[Shape]]) -> list[_Use]:
    """Every parameter with its spec; an owner's `owner` is its own number."""
    found: list[_Use] = []
    owners: dict[str, int] = {}
    for number, (layer, blobs) in enumerate(zip(plan.layers, shapes)):
        specs = layer.param.param
        if len(specs) > len(blobs):
            raise NetError(
                f"Too many params specified for layer '{layer.name}' ({layer.type}): {len(specs)} "
                f"given, the layer has {len(blobs)} blob(s)"
            )
        for index, shape in enumerate(blobs):
            spec = specs[index] if index < len(specs) else ParamSpec()
            owner = owners.setdefault(spec.name, len(found)) if spec.name else len(found)
            found.append(_Use(number, index, tuple(shape), spec, owner))
    return found


def _check_shape(plan: Plan, owner: _Use, sharer: _Use) -> None:
    permissive = sharer.spec.share_mode == ParamSpec.PERMISSIVE
    alike = math.prod(owner.shape) == math.prod(sharer.shape) if permissive else owner.shape == sharer.shape
    if not alike:
        raise NetError(
            f"Cannot share param '{sharer.spec.name}' owned by layer '{plan.layers[owner.layer].name}' with "
            f"layer '{plan.layers[sharer.layer].name}'; {'count' if permissive else 'shape'} mismatch: "
            f"owner {owner.shape}, sharer {sharer.shape}"
        )


def _multiplier(plan: Plan, family: Sequence[_Use], field: str) -> float:
    """What the specs of one parameter say, who must agree; the default where none says anything."""
    given = [(getattr(use.spec, field), use.layer) for use in family if use.spec.HasField(field)]
    for value, layer in given[1:]:
        if value != given[0][0]:
            raise NetError(
                f"Shared param '{family[0].spec.name}' has mismatched {field}: {given[0][0]:g} in layer "
                f"'{plan.layers[given[0][1]].name}', {value:g} in layer '{plan.layers[layer].name}'"
            )
    return float(given[0][0] if given else getattr(ParamSpec(), field))
