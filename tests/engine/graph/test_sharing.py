"""Parameters that share a name share a memory and agree on how fast it learns."""

from __future__ import annotations

import pytest

from caffe._caffe.errors import NetError
from caffe._caffe.graph.plan import Parameter, Plan
from caffe._caffe.graph.sharing import share_parameters
from tests.engine.graph.test_wiring import planned

Shapes = list[list[tuple[int, ...]]]


def shared(*specs: str, shapes: Shapes | None = None) -> Plan:
    """A layer `l0`, `l1`, .. for each text of its specs; each has one parameter, 2 x 3 unless said."""
    names = [f"l{number}" for number in range(len(specs))]
    text = 'layer { name: "x" type: "Input" top: "b0" }\n' + "".join(
        f'layer {{ name: "{name}" type: "InnerProduct" bottom: "b{number}" top: "b{number + 1}" {spec} }}\n'
        for number, (name, spec) in enumerate(zip(names, specs))
    )
    return share_parameters(planned(text), [[], *(shapes or [[(2, 3)] for _ in specs])])


def test_the_first_of_a_name_owns_it() -> None:
    plan = shared('param { name: "w" lr_mult: 3 }', "", 'param { name: "w" decay_mult: 2 }')
    assert plan.parameters == (
        Parameter(layer=1, index=0, shape=(2, 3), name="w", owner=None, lr_mult=3, decay_mult=2),
        Parameter(layer=2, index=0, shape=(2, 3), name="", owner=None, lr_mult=1, decay_mult=1),
        Parameter(layer=3, index=0, shape=(2, 3), name="w", owner=0, lr_mult=3, decay_mult=2),
    )
    assert plan.learnable == plan.parameters[:2]


def test_one_layer_may_share_with_itself() -> None:
    plan = shared('param { name: "w" } param { name: "w" }', shapes=[[(4,), (4,)]])
    assert [parameter.owner for parameter in plan.parameters] == [None, 0]


def test_parameters_without_a_spec_are_learned() -> None:
    plan = shared("param { lr_mult: 0 }", shapes=[[(4, 2), (4,)]])
    assert plan.layers[1].param_flags == (False, True)
    assert [parameter.lr_mult for parameter in plan.parameters] == [0, 1]


def test_a_permissive_sharer_needs_only_the_count() -> None:
    spec = 'param { name: "w" share_mode: %s }'
    shapes: Shapes = [[(2, 3)], [(6,)]]
    assert len(shared(spec % "STRICT", spec % "PERMISSIVE", shapes=shapes).learnable) == 1
    with pytest.raises(NetError, match=r"'w' owned by layer 'l0' with layer 'l1'; shape mismatch.*\(6,\)"):
        shared(spec % "PERMISSIVE", spec % "STRICT", shapes=shapes)
    with pytest.raises(NetError, match="count mismatch"):
        shared(spec % "STRICT", spec % "PERMISSIVE", shapes=[[(2, 3)], [(7,)]])


@pytest.mark.parametrize("field", ["lr_mult", "decay_mult"])
def test_sharers_that_disagree_are_named(field: str) -> None:
    with pytest.raises(NetError, match=f"'w' has mismatched {field}: 2 in layer 'l1', 3 in layer 'l2'"):
        shared('param { name: "w" }', *(f'param {{ name: "w" {field}: {value} }}' for value in (2, 3)))


def test_more_specs_than_parameters() -> None:
    with pytest.raises(NetError, match=r"Too many params .* 'l0' \(InnerProduct\): 2 given, the layer has 1"):
        shared("param { } param { }")
