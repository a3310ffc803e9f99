"""Which layers belong to a net in a given state (Caffe: net.cpp FilterNet, StateMeetsRule)."""

from __future__ import annotations

from ...proto.caffe_pb2 import LayerParameter, NetParameter, NetState, NetStateRule
from ..errors import NetError
from ..log import log


def filter_net(net: NetParameter, state: NetState) -> NetParameter:
    """The net with only the layers that `state` lets in.

    With include rules a layer stays if at least one is met, else unless an exclude rule is met.

    Returns:
        `net` itself if every layer stays, else a new message.

    Raises:
        NetError: a layer with both include and exclude rules.
    """
    stays = [_stays(layer, state) for layer in net.layer]
    if all(stays):
        return net
    result = without_fields(net, "layer")
    result.layer.extend(layer for layer, stay in zip(net.layer, stays) if stay)
    return result


def without_fields(net: NetParameter, *left_out: str) -> NetParameter:
    """A copy of `net` but for some fields, such as `layer`, whose blobs may be large."""
    result = NetParameter()
    for field, value in net.ListFields():
        if field.name in left_out:
            continue
        if isinstance(value, (bool, str)):
            setattr(result, field.name, value)
        else:
            getattr(result, field.name).MergeFrom(value)
    return result


def state_meets_rule(state: NetState, rule: NetStateRule, layer: str) -> bool:
    """Whether `state` meets all that `rule` sets; an empty rule is always met.

    Args:
        layer: the name of the layer whose rule it is, for the log.
    """
    mismatch = _mismatch(state, rule)
    if mismatch:
        log.info("The NetState %s specified by a rule in layer %s", mismatch, layer)
    return not mismatch


def _mismatch(state: NetState, rule: NetStateRule) -> str:
    """What of the rule the state does not meet, in words; nothing if it meets all."""
    if rule.HasField("phase") and rule.phase != state.phase:
        return f"phase ({state.phase}) differed from the phase ({rule.phase})"
    if rule.HasField("min_level") and state.level < rule.min_level:
        return f"level ({state.level}) is above the min_level ({rule.min_level})"  # Caffe's word
    if rule.HasField("max_level") and state.level > rule.max_level:
        return f"level ({state.level}) is above the max_level ({rule.max_level})"
    for stage in rule.stage:
        if stage not in state.stage:
            return f"did not contain stage '{stage}'"
    for stage in rule.not_stage:
        if stage in state.stage:
            return f"contained a not_stage '{stage}'"
    return ""


def _stays(layer: LayerParameter, state: NetState) -> bool:
    if layer.include and layer.exclude:
        raise NetError(
            f"layer '{layer.name}' ({layer.type}) has both include and exclude rules: give either, not both"
        )
    if layer.include:
        return any(state_meets_rule(state, rule, layer.name) for rule in layer.include)
    return not any(state_meets_rule(state, rule, layer.name) for rule in layer.exclude)
