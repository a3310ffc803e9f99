"""Scale, Bias, Parameter: broadcasting, learned and given operands, and which gradients add up."""

from __future__ import annotations

import numpy as np
import pytest

from caffe._caffe import LayerError
from tests.engine.support.layer_case import build, check_gradient, forward, random, run

IN_PLACE = ' top: "x"'

# fields, the operand's shape, the operand's shape among the bottom's axes
SPANS = [
    ("", (3,), (1, 3, 1, 1)),
    ("axis: 0", (2,), (2, 1, 1, 1)),
    ("axis: -1", (5,), (1, 1, 1, 5)),
    ("axis: 1 num_axes: 2", (3, 4), (1, 3, 4, 1)),
    ("axis: 0 num_axes: -1", (2, 3, 4, 5), (2, 3, 4, 5)),
    ("num_axes: 0", (), (1, 1, 1, 1)),
]


@pytest.mark.parametrize(("fields", "shape", "among"), SPANS)
@pytest.mark.parametrize("where", ["", IN_PLACE], ids=["apart", "in_place"])
def test_learned_operands(fields: str, shape: tuple[int, ...], among: tuple[int, ...], where: str) -> None:
    x, s, b = random(2, 3, 4, 5), random(*shape, seed=1), random(*shape, seed=2)
    scale = f'type: "Scale" scale_param {{ {fields} bias_term: true }} {where}'
    bias = f'type: "Bias" bias_param {{ {fields} }} {where}'
    (y,) = run(scale, {"x": x}, [s, b]).tops.values()
    np.testing.assert_allclose(y, x * s.reshape(among) + b.reshape(among), rtol=1e-4, atol=1e-5)
    (y,) = run(bias, {"x": x}, [b]).tops.values()
    np.testing.assert_allclose(y, x + b.reshape(among), rtol=1e-4, atol=1e-5)
    check_gradient(scale, {"x": x}, [s, b])
    check_gradient(bias, {"x": x}, [b])


@pytest.mark.parametrize(("fields", "shape", "among"), SPANS)
@pytest.mark.parametrize("where", ["", IN_PLACE], ids=["apart", "in_place"])
def test_operands_as_a_bottom(
    fields: str, shape: tuple[int, ...], among: tuple[int, ...], where: str
) -> None:
    inputs = {"x": random(2, 3, 4, 5), "s": random(*shape, seed=1)}
    axis = fields.split("num_axes")[0]
    scale = f'type: "Scale" scale_param {{ {axis} }} {where}'
    bias = f'type: "Bias" bias_param {{ {axis} }} {where}'
    (y,) = run(scale, inputs).tops.values()
    np.testing.assert_allclose(y, inputs["x"] * inputs["s"].reshape(among), rtol=1e-4)
    check_gradient(scale, inputs)
    check_gradient(bias, inputs)


def test_scale_by_a_bottom_with_a_learned_bias() -> None:
    inputs, b = {"x": random(2, 3, 2), "s": random(3, seed=1)}, random(3, seed=2)
    text = 'type: "Scale" scale_param { bias_term: true }'
    y = run(text, inputs, [b]).tops["top"]
    np.testing.assert_allclose(y, inputs["x"] * inputs["s"][:, None] + b[:, None], rtol=1e-4, atol=1e-5)
    check_gradient(text, inputs, [b])


def test_fillers() -> None:
    def params(text: str) -> list[list[float]]:
        return [blob.data.tolist() for blob in build(text, {"x": random(2, 2)}).params["layer"]]

    assert params('type: "Scale" scale_param { bias_term: true }') == [[1, 1], [0, 0]]
    filled = "filler { value: 3 } bias_term: true bias_filler { value: 4 }"
    assert params(f'type: "Scale" scale_param {{ {filled} }}') == [[3, 3], [4, 4]]
    assert params('type: "Bias"') == [[0, 0]]
    assert params('type: "Bias" bias_param { filler { value: 5 } }') == [[5, 5]]


@pytest.mark.parametrize(
    ("shape", "fields", "adds_up"),
    [
        ((2, 3, 4), "", True),
        ((1, 3, 4), "", False),
        ((1, 3), "", False),
        ((1, 1, 4), "", True),
        ((1, 1, 1), "", False),
        ((3, 4), "axis: 0", False),
        ((3, 4), "num_axes: 0", True),
    ],
)
def test_which_scale_gradients_add_up_over_two_backward_calls(
    shape: tuple[int, ...], fields: str, adds_up: bool
) -> None:
    x = random(*shape)
    net = build(f'type: "Scale" scale_param {{ {fields} bias_term: true }}', {"x": x})
    forward(net, {"x": x})
    net.clear_param_diffs()
    net.blobs["top"].diff[...] = 1
    net.backward()
    scale, bias = (blob.diff.copy() for blob in net.params["layer"])
    net.backward()
    np.testing.assert_allclose(net.params["layer"][0].diff, scale * (2 if adds_up else 1), rtol=1e-5)
    np.testing.assert_allclose(net.params["layer"][1].diff, bias * 2, rtol=1e-5)


def test_in_place_scale_keeps_its_input_while_the_user_holds_the_array() -> None:
    x = np.array([[1.0, 2.0], [3.0, 4.0]])
    net = build('type: "Scale"' + IN_PLACE, {"x": x}, [np.array([10.0, 20.0])])
    held = net.blobs["x"].data
    forward(net, {"x": x})
    np.testing.assert_array_equal(held, [[10, 40], [30, 80]])
    net.clear_param_diffs()
    net.blobs["x"].diff[...] = 1
    net.backward()
    np.testing.assert_array_equal(net.params["layer"][0].diff, [4, 6])
    np.testing.assert_array_equal(net.blobs["x"].diff, [[10, 20], [10, 20]])


@pytest.mark.parametrize("kind", ["Scale", "Bias"])
@pytest.mark.parametrize(
    ("fields", "shape", "message"),
    [
        ("axis: 3", (2, 3, 4), "axis 3 out of range"),
        ("axis: 1 num_axes: 3", (2, 3, 4), r"extend past the bottom's shape \(2, 3, 4\)"),
        ("num_axes: -2", (2, 3, 4), "num_axes must be -1"),
        ("", (4,), "axis 1 out of range"),
    ],
)
def test_operands_that_do_not_exist(kind: str, fields: str, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(LayerError, match=f"{kind}.*{message}"):
        build(f'type: "{kind}" {kind.lower()}_param {{ {fields} }}', {"x": random(*shape)})


@pytest.mark.parametrize("kind", ["Scale", "Bias"])
@pytest.mark.parametrize("shape", [(5,), (3, 4, 1), (3, 5)])
def test_operands_that_do_not_fit(kind: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(LayerError, match="must equal bottom"):
        build(f'type: "{kind}"', {"x": random(2, 3, 4), "s": random(*shape)})


def test_a_reshaped_bottom_must_still_fit() -> None:
    net = build('type: "Scale"', {"x": random(2, 3, 4)})
    net.blobs["x"].reshape(5, 3, 2)
    net.forward()
    assert net.blobs["top"].data.shape == (5, 3, 2)
    net.blobs["x"].reshape(2, 4, 4)
    with pytest.raises(LayerError, match=r"param \(3,\)"):
        net.forward()


PARAMETER = """
    layer { name: "w" type: "Parameter" top: "w" parameter_param { shape { dim: 2 dim: 3 } } }
    layer { name: "sum" type: "Eltwise" bottom: "x" bottom: "w" top: "top" }
"""


def test_parameter_is_its_blob() -> None:
    x, w = random(2, 3), random(2, 3, seed=1)
    net = build(PARAMETER, {"x": x})
    assert not net.params["w"][0].data.any()
    net.params["w"][0].data[...] = w
    np.testing.assert_allclose(forward(net, {"x": x})["top"], x + w, rtol=1e-5, atol=1e-6)
    net.blobs["w"].data[...] = 0
    assert not net.params["w"][0].data.any()
    check_gradient(PARAMETER, {"x": x}, [w])


def test_parameter_gradient_does_not_add_up() -> None:
    x = random(2, 3)
    net = build(PARAMETER, {"x": x})
    forward(net, {"x": x})
    net.blobs["top"].diff[...] = 2
    net.backward()
    net.backward()
    np.testing.assert_array_equal(net.params["w"][0].diff, np.full((2, 3), 2))


def test_parameter_blob_of_another_shape() -> None:
    text = """layer { name: "w" type: "Parameter" top: "w" parameter_param { shape { dim: 2 } }
                      blobs { shape { dim: 3 } data: [1, 2, 3] } }"""
    with pytest.raises(LayerError, match=r"shape is \(2,\), but the blob in the prototxt \(3,\)"):
        build(text, {})


def test_a_parameter_of_an_old_prototxt_needs_only_the_right_count() -> None:
    text = """layer { name: "w" type: "Parameter" top: "w" parameter_param { shape { dim: 3 } }
                      blobs { num: 1 channels: 1 height: 1 width: 3 data: [1, 2, 3] } }"""
    net = build(text, {})
    np.testing.assert_array_equal(net.forward()["w"], [1, 2, 3])
