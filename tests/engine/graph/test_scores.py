"""Which layers make scores: those after the last activation."""

from __future__ import annotations

import pytest

import caffe
from caffe._caffe.graph.scores import scoring


def layer(kind: str, bottom: str, top: str, more: str = "") -> str:
    return f'layer {{ name: "{top}_{kind}" type: "{kind}" bottom: "{bottom}" top: "{top}" {more} }}'


def convolution(bottom: str, top: str) -> str:
    return layer("Convolution", bottom, top, "convolution_param { num_output: 2 kernel_size: 1 }")


DATA = (
    'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 2 dim: 4 dim: 4 } } }'
)
TRUNK = [convolution("data", "a"), layer("ReLU", "a", "a"), convolution("a", "b"), layer("ReLU", "b", "b")]


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([*TRUNK, convolution("b", "c")], {"c_Convolution"}),
        # The skip of a fused net starts under an activation, and ends above one.
        (
            [*TRUNK, convolution("b", "c"), convolution("a", "d"),
             'layer { name: "sum" type: "Eltwise" bottom: "c" bottom: "d" top: "sum" }'],
            {"c_Convolution", "d_Convolution", "sum"},
        ),
        # An activation that ends the net is part of the score.
        ([*TRUNK, convolution("b", "c"), layer("Sigmoid", "c", "p")], {"c_Convolution", "p_Sigmoid"}),
        ([convolution("data", "c"), convolution("c", "d")], {"data", "c_Convolution", "d_Convolution"}),
    ],
)  # fmt: skip
def test_scores_begin_after_the_last_activation(tmp_path, layers, expected):
    (tmp_path / "net.prototxt").write_text("\n".join([DATA, *layers]))
    plan = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST).plan
    found = {plan.layers[number].name for number in scoring(plan) if plan.layers[number].type != "Split"}
    assert found == expected
