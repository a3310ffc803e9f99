"""Who runs backward, and which bottoms get a diff."""

from __future__ import annotations

from caffe._caffe.graph.backward import plan_backward
from caffe._caffe.graph.plan import Plan
from caffe._caffe.graph.sharing import share_parameters
from tests.engine.graph.test_wiring import X, Y, planned

A = 'layer { name: "a" type: "InnerProduct" bottom: "x" top: "a" %s }\n'
R = 'layer { name: "r" type: "ReLU" bottom: "a" top: "a" }\n'
B = 'layer { name: "b" type: "InnerProduct" bottom: "a" top: "b" %s }\n'
LOSS = 'layer { name: "loss" type: "EuclideanLoss" bottom: "b" bottom: "y" top: "loss" %s }\n'
FROZEN = "param { lr_mult: 0 } param { lr_mult: 0 }"


def complete(text: str, force: bool = False) -> Plan:
    """The plan, with two parameters for each InnerProduct."""
    plan = planned(text)
    plan = share_parameters(
        plan, [[(2, 2), (2,)] if layer.type == "InnerProduct" else [] for layer in plan.layers]
    )
    return plan_backward(plan, [[True] * len(layer.bottoms) for layer in plan.layers] if force else None)


def down(plan: Plan) -> dict[str, tuple[bool, ...]]:
    """The layers that run backward, and which of their bottoms get a diff."""
    return {layer.name: layer.propagate_down for layer in plan.layers if layer.runs_backward}


def test_backward_stops_where_nothing_is_learned_below() -> None:
    assert down(complete(X + Y + A % "" + R + B % "" + LOSS % "")) == {
        "a": (False,), "r": (True,), "b": (True,), "loss": (True, False),
    }  # fmt: skip
    assert down(complete(X + Y + A % FROZEN + R + B % "" + LOSS % "")) == {
        "b": (False,),
        "loss": (True, False),
    }


def test_without_a_loss_nobody_runs() -> None:
    assert not down(complete(X + A % "" + R + B % ""))
    assert not down(complete(X + Y + A % "" + R + B % "" + LOSS % "loss_weight: 0"))


def test_a_side_branch_without_a_loss_asks_for_nothing() -> None:
    side = 'layer { name: "near" type: "InnerProduct" bottom: "a" top: "near" }\n'
    side += 'layer { name: "far" type: "Power" bottom: "near" top: "far" }\n'
    plan = complete(X + Y + A % "" + side + B % "" + LOSS % "")
    assert list(down(plan)) == ["a", "a_a_0_split", "b", "loss"]
    asked = {layer.name: layer.propagate_down for layer in plan.layers}
    assert asked["near"] == asked["far"] == (False,)


def test_propagate_down_false_cuts_what_is_below() -> None:
    plan = complete(X + Y + A % "" + R + B % "propagate_down: false" + LOSS % "")
    assert down(plan) == {"b": (False,), "loss": (True, False)}


def test_force_backward_runs_all_for_every_bottom_that_allows_it() -> None:
    plan = complete(X + Y + A % FROZEN + R + B % "" + LOSS % "", force=True)
    assert len(down(plan)) == len(plan.layers)
    assert all(map(all, down(plan).values()))
    assert all(all(layer.param_flags) for layer in plan.layers)
