"""Which layers a state lets in."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caffe._caffe.errors import NetError
from caffe._caffe.formats.proto_io import parse_text
from caffe._caffe.graph.filter import filter_net, state_meets_rule, without_fields
from caffe.proto.caffe_pb2 import TEST, TRAIN, NetParameter, NetState, NetStateRule


def kept(rules: str, **state: Any) -> bool:
    net = parse_text(f'name: "n" layer {{ name: "l" {rules} }} layer {{ name: "other" }}', NetParameter())
    result = filter_net(net, NetState(**state))
    assert result.name == "n" and result.layer[-1].name == "other"
    return len(result.layer) == 2


@pytest.mark.parametrize(
    ("rules", "state", "want"),
    [
        ("", {}, True),
        ("include { phase: TEST }", {}, True),  # TEST is the default phase
        ("include { phase: TRAIN }", {"phase": TEST}, False),
        ("exclude { phase: TRAIN }", {"phase": TRAIN}, False),
        ("exclude { phase: TRAIN }", {"phase": TEST}, True),
        ("include { min_level: 1 }", {"level": 0}, False),
        ("include { min_level: 1 max_level: 2 }", {"level": 2}, True),
        ("include { min_level: 1 max_level: 2 }", {"level": 3}, False),
        ('include { stage: "a" stage: "b" }', {"stage": ["a"]}, False),
        ('include { stage: "a" stage: "b" }', {"stage": ["b", "c", "a"]}, True),
        ('include { not_stage: "a" }', {"stage": ["a"]}, False),
        ('include { not_stage: "a" }', {"stage": []}, True),
        ('include { stage: "" }', {"stage": [""]}, True),
        ("include { phase: TRAIN } include { min_level: 0 }", {"phase": TEST}, True),  # any of them
        ("exclude { phase: TRAIN } exclude { min_level: 0 }", {"phase": TEST}, False),  # any of them
        ("include { }", {"phase": TRAIN}, True),
        ("exclude { }", {"phase": TRAIN}, False),
        ("include { phase: TEST stage: 'x' }", {"phase": TEST}, False),  # all criteria of a rule
    ],
)
def test_rules(rules: str, state: dict, want: bool) -> None:
    assert kept(rules, **state) == want


def test_both_kinds_of_rules() -> None:
    with pytest.raises(NetError, match="layer 'l'.*both include and exclude"):
        kept("include { phase: TEST } exclude { phase: TRAIN }")


STAGES = st.lists(st.sampled_from("abc"), unique=True)


@given(
    st.none() | st.sampled_from([TRAIN, TEST]),
    st.none() | st.integers(-2, 2),
    st.none() | st.integers(-2, 2),
    STAGES,
    STAGES,
    st.sampled_from([TRAIN, TEST]),
    st.integers(-2, 2),
    STAGES,
)
def test_rule_is_met_when_all_it_sets_holds(phase, low, high, stage, not_stage, at, level, stages) -> None:
    rule = NetStateRule(phase=phase, min_level=low, max_level=high, stage=stage, not_stage=not_stage)
    holds = (
        (phase is None or phase == at)
        and (low is None or low <= level)
        and (high is None or level <= high)
        and set(stage) <= set(stages)
        and not set(not_stage) & set(stages)
    )
    assert state_meets_rule(NetState(phase=at, level=level, stage=stages), rule, "l") == holds


def test_why_a_layer_is_left_out_is_logged(glog) -> None:
    net = parse_text(
        'layer { name: "a" include { phase: TRAIN } include { stage: "x" } include { min_level: 1 } }',
        NetParameter(),
    )
    filter_net(net, NetState())
    assert glog == [
        "The NetState phase (1) differed from the phase (0) specified by a rule in layer a",
        "The NetState did not contain stage 'x' specified by a rule in layer a",
        "The NetState level (0) is above the min_level (1) specified by a rule in layer a",
    ]


def test_nothing_is_copied_when_every_layer_stays() -> None:
    net = parse_text("layer { include { phase: TEST } } layer { }", NetParameter())
    assert filter_net(net, NetState()) is net


def test_given_net_is_left_alone() -> None:
    net = parse_text('name: "n" layer { name: "a" include { phase: TRAIN } }', NetParameter())
    before = net.SerializeToString()
    assert not filter_net(net, NetState()).layer
    assert net.SerializeToString() == before


def test_everything_but_the_layers_is_kept() -> None:
    net = parse_text(
        'name: "n" force_backward: true debug_info: true state { stage: "s" level: 2 } input: "i" '
        "input_dim: [1, 2, 3, 4] input_shape { dim: 1 } layer { } layers { }",
        NetParameter(),
    )
    rest = without_fields(net, "layer")
    net.ClearField("layer")
    assert rest == net
