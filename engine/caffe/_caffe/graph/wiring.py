"""From a filtered, split net text to ids: who reads and writes which blob, who shares a parameter,
who runs backward. Pure bookkeeping (Caffe: net.cpp Init), so every wiring error is raised here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ...proto.caffe_pb2 import ParamSpec
from ..errors import NetError

if TYPE_CHECKING:
    from ...proto.caffe_pb2 import LayerParameter, NetParameter
    from ..layer import Layer

AUTOMATIC = "(automatic)"


@dataclass
class Wiring:
    """Blob names in creation order, and per layer the ids of what it reads and writes."""

    blob_names: list[str] = field(default_factory=list)
    bottom_ids: list[list[int]] = field(default_factory=list)
    top_ids: list[list[int]] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)


def connect(net: NetParameter, classes: Sequence[type[Layer]]) -> Wiring:
    """Wire the layers of `net` in file order.

    Raises:
        NetError: an unknown bottom, a blob produced twice, a wrong number of bottoms or tops, or a
            propagate_down that does not match the bottoms.
    """
    wiring = Wiring()
    by_name: dict[str, int] = {}
    available: dict[str, None] = {}
    for layer, cls in zip(net.layer, classes):
        if layer.propagate_down and len(layer.propagate_down) != len(layer.bottom):
            raise NetError(
                f"layer '{layer.name}' ({layer.type}): propagate_down must be given once per bottom or not "
                f"at all: {len(layer.propagate_down)} given, {len(layer.bottom)} bottoms"
            )
        wiring.bottom_ids.append(
            [_read(layer, index, by_name, available) for index in range(len(layer.bottom))]
        )
        wiring.top_ids.append(_write_tops(layer, cls, wiring, by_name, available))
        _check_arity(layer, cls, len(layer.bottom), len(wiring.top_ids[-1]))
        if layer.type == "Input":
            wiring.inputs += wiring.top_ids[-1]
    wiring.outputs = [by_name[name] for name in sorted(available, key=str.encode)]
    return wiring


def _read(layer: LayerParameter, index: int, by_name: dict[str, int], available: dict[str, None]) -> int:
    name = layer.bottom[index]
    if name not in available:
        reason = "is read by somebody else already" if name in by_name else "is produced by no layer above"
        raise NetError(
            f"Unknown bottom blob '{name}' (layer '{layer.name}', bottom index {index}): it {reason}; "
            f"available: {', '.join(available) or 'none'}"
        )
    del available[name]
    return by_name[name]


def _write_tops(
    layer: LayerParameter,
    cls: type[Layer],
    wiring: Wiring,
    by_name: dict[str, int],
    available: dict[str, None],
) -> list[int]:
    ids = []
    for index, name in enumerate(layer.top):
        in_place = index < len(layer.bottom) and layer.bottom[index] == name
        if not in_place:
            if name in by_name:
                raise NetError(
                    f"Top blob '{name}' produced by multiple sources: layer '{layer.name}' writes it again. "
                    "Give it a name of its own, or the bottom's name to work in place"
                )
            by_name[name] = len(wiring.blob_names)
            wiring.blob_names.append(name)
        available[name] = None
        ids.append(by_name[name])
    if cls.auto_top:
        while len(ids) < cls.tops.least:
            ids.append(len(wiring.blob_names))
            wiring.blob_names.append(AUTOMATIC)
    return ids


def _check_arity(layer: LayerParameter, cls: type[Layer], bottoms: int, tops: int) -> None:
    for kind, count, arity in (("bottom", bottoms, cls.bottoms), ("top", tops, cls.tops)):
        if not arity.allows(count):
            raise NetError(f"layer '{layer.name}': {layer.type} takes {arity} {kind} blob(s), {count} given")
    if cls.same_tops and bottoms != tops:
        raise NetError(
            f"layer '{layer.name}': {layer.type} makes one top per bottom: {bottoms} bottoms, {tops} tops"
        )


# ---- parameters ---------------------------------------------------------------------------------


@dataclass
class Parameter:
    """One blob of one layer: whose memory it uses, and its multipliers if it is an owner."""

    layer: int
    index: int
    shape: tuple[int, ...]
    name: str
    owner: int | None = None  # index into the list of all parameters
    lr_mult: float = 1.0
    decay_mult: float = 1.0
    lr_given: bool = False
    decay_given: bool = False


def share_parameters(
    layers: Sequence[LayerParameter], shapes: Sequence[Sequence[tuple[int, ...]]]
) -> list[Parameter]:
    """All parameters in layer order; the first of a name owns the memory, later ones share it.

    Raises:
        NetError: more param specs than blobs, shapes or multipliers of sharers that disagree.
    """
    found: list[Parameter] = []
    owners: dict[str, int] = {}
    for number, (layer, blobs) in enumerate(zip(layers, shapes)):
        if len(layer.param) > len(blobs):
            raise NetError(
                f"Too many params specified for layer '{layer.name}' ({layer.type}): {len(layer.param)} "
                f"given, the layer has {len(blobs)} blob(s)"
            )
        for index, shape in enumerate(blobs):
            spec = layer.param[index] if index < len(layer.param) else ParamSpec()
            parameter = Parameter(number, index, tuple(shape), spec.name)
            if spec.name and spec.name in owners:
                parameter.owner = owners[spec.name]
                _join(layers, found[parameter.owner], parameter, spec)
            else:
                if spec.name:
                    owners[spec.name] = len(found)
                parameter.lr_mult, parameter.decay_mult = spec.lr_mult, spec.decay_mult
                parameter.lr_given, parameter.decay_given = (
                    spec.HasField("lr_mult"),
                    spec.HasField("decay_mult"),
                )
            found.append(parameter)
    return found


def _join(layers: Sequence[LayerParameter], owner: Parameter, sharer: Parameter, spec: ParamSpec) -> None:
    name, mine, theirs = spec.name, layers[sharer.layer].name, layers[owner.layer].name
    permissive = spec.share_mode == spec.PERMISSIVE
    counts = [_count(owner.shape), _count(sharer.shape)]
    if (permissive and counts[0] != counts[1]) or (not permissive and owner.shape != sharer.shape):
        raise NetError(
            f"Cannot share param '{name}' owned by layer '{theirs}' with layer '{mine}'; "
            f"{'count' if permissive else 'shape'} mismatch: owner {owner.shape}, sharer {sharer.shape}"
        )
    for field_name in ("lr", "decay"):
        if not spec.HasField(f"{field_name}_mult"):
            continue
        value = getattr(spec, f"{field_name}_mult")
        if getattr(owner, f"{field_name}_given") and getattr(owner, f"{field_name}_mult") != value:
            raise NetError(
                f"Shared param '{name}' has mismatched {field_name}_mult: "
                f"{getattr(owner, f'{field_name}_mult'):g} in layer '{theirs}', {value:g} in layer '{mine}'"
            )
        setattr(owner, f"{field_name}_mult", value)
        setattr(owner, f"{field_name}_given", True)


def _count(shape: tuple[int, ...]) -> int:
    count = 1
    for dim in shape:
        count *= dim
    return count


# ---- who runs backward --------------------------------------------------------------------------


@dataclass
class BackwardPlan:
    """Which layers run backward, which bottoms and parameters get a diff."""

    layers: list[bool]
    bottoms: list[list[bool]]
    params: list[list[bool]]


def plan_backward(
    net: NetParameter,
    wiring: Wiring,
    loss_weights: Sequence[Sequence[float]],
    lr_mults: Sequence[Sequence[float]],
    layers: Sequence[Layer],
) -> BackwardPlan:
    """Caffe's two passes (down for who could, up for who contributes to a loss), then force_backward.

    Args:
        loss_weights: per layer and top.
        lr_mults: per layer and parameter, of the layer's own spec.
    """
    plan = BackwardPlan([], [], [[mult != 0 for mult in mults] for mults in lr_mults])
    blob_needs = [False] * len(wiring.blob_names)
    for number, layer in enumerate(net.layer):
        below = [blob_needs[blob] for blob in wiring.bottom_ids[number]]
        need = any(below) or any(plan.params[number])
        plan.layers.append(need)
        plan.bottoms.append(list(layer.propagate_down) or below)
        for blob in wiring.top_ids[number]:
            blob_needs[blob] = blob_needs[blob] or need
    _prune(wiring, loss_weights, plan)
    if net.force_backward:
        for number, instance in enumerate(layers):
            plan.layers[number] = True
            plan.params[number] = [True] * len(plan.params[number])
            plan.bottoms[number] = [
                flag or instance.allow_force_backward(index)
                for index, flag in enumerate(plan.bottoms[number])
            ]
    return plan


def _prune(wiring: Wiring, loss_weights: Sequence[Sequence[float]], plan: BackwardPlan) -> None:
    under_loss: set[str] = set()
    skip: set[str] = set()
    for number in reversed(range(len(plan.layers))):
        tops = [wiring.blob_names[blob] for blob in wiring.top_ids[number]]
        contributes = any(loss_weights[number]) or any(top in under_loss for top in tops)
        if all(top in skip for top in tops):
            if plan.layers[number]:
                plan.bottoms[number] = [False] * len(plan.bottoms[number])
            plan.layers[number] = False
        if not contributes:
            plan.layers[number] = False
        for index, blob in enumerate(wiring.bottom_ids[number]):
            name = wiring.blob_names[blob]
            if contributes:
                under_loss.add(name)
            else:
                plan.bottoms[number][index] = False
            if not plan.bottoms[number][index]:
                skip.add(name)
