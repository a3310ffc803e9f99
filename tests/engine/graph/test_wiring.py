"""From text to a plan: numbers for blobs, what is written where, and what is refused."""

from __future__ import annotations

import pytest

from caffe._caffe.errors import NetError
from caffe._caffe.formats.proto_io import parse_text
from caffe._caffe.graph.plan import Plan
from caffe._caffe.graph.splits import insert_splits
from caffe._caffe.graph.wiring import wire
from caffe._caffe.registry import layer_class
from caffe.proto.caffe_pb2 import TRAIN, NetParameter

X = 'layer { name: "x" type: "Input" top: "x" }\n'
Y = 'layer { name: "y" type: "Input" top: "y" }\n'


def planned(text: str) -> Plan:
    net = insert_splits(parse_text(text, NetParameter()))
    before = net.SerializeToString(deterministic=True)
    plan = wire(net, [layer_class(layer) for layer in net.layer])
    assert net.SerializeToString(deterministic=True) == before, "the given text was changed"
    return plan


def test_blobs_are_numbered_as_they_are_made_and_layers_in_place_keep_the_number() -> None:
    plan = planned(
        X + 'layer { name: "ip" type: "InnerProduct" bottom: "x" top: "ip" }\n'
        'layer { name: "r" type: "ReLU" bottom: "ip" top: "ip" }\n'
        'layer { name: "z" type: "Power" bottom: "ip" top: "z" }\n'
    )
    assert plan.blob_names == ("x", "ip", "z")
    assert [(layer.bottoms, layer.tops) for layer in plan.layers] == [
        ((), (0,)), ((0,), (1,)), ((1,), (1,)), ((1,), (2,)),
    ]  # fmt: skip
    assert plan.inputs == (0,) and plan.outputs == (2,)


def test_outputs_are_in_the_byte_order_of_their_names() -> None:
    plan = planned("".join(f'layer {{ type: "Input" top: "{name}" }}' for name in ("b", "é", "B", "a")))
    assert [plan.blob_names[number] for number in plan.outputs] == ["B", "a", "b", "é"]


def test_a_loss_makes_its_top_and_weighs_one() -> None:
    loss = planned(X + Y + 'layer { type: "EuclideanLoss" bottom: "x" bottom: "y" }').layers[-1]
    assert loss.tops == (2,) and loss.loss_weights == (1,)
    assert list(loss.param.loss_weight) == [1] and not loss.param.top


def test_a_layer_takes_the_phase_of_the_net_unless_it_has_its_own() -> None:
    text = X + 'layer { type: "Power" bottom: "x" top: "p" phase: TEST }'
    layers = planned("state { phase: TRAIN }" + text).layers
    assert [layer.param.phase for layer in layers] == [TRAIN, 1]


def test_what_a_class_says_of_its_parameters_is_filled_in_and_does_not_stop_the_backward() -> None:
    text = X + 'layer { name: "bn" type: "BatchNorm" bottom: "x" top: "bn" %s }'
    silent, zero = (planned(text % specs).layers[1] for specs in ("", "param { lr_mult: 0 }" * 3))
    assert [spec.lr_mult for spec in silent.param.param] == [0, 0, 0]
    assert silent.param_flags == () and zero.param_flags == (False, False, False)


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        ('type: "Power" bottom: "x" top: "x2" top: "x3"', "Power takes 1 top"),
        ('type: "Eltwise" bottom: "x" top: "e"', "Eltwise takes at least 2 bottom"),
        ('name: "t" type: "TanH" bottom: "x" top: "y"', "'y' produced by multiple sources: layer 't'"),
        (
            'name: "p" type: "Power" bottom: "x" top: "p" loss_weight: [1, 2]',
            "loss_weight.*2 given, 1 top",
        ),
        ('name: "p" type: "Power" bottom: "x" top: "p" propagate_down: [true, true]', "2 given, 1 bottoms"),
        ('type: "Power" bottom: "dta" top: "p"', "Unknown bottom blob 'dta'"),
    ],
)
def test_what_is_refused(layer: str, words: str) -> None:
    with pytest.raises(NetError, match=words):
        planned(f"{X}{Y}layer {{ {layer} }}")
