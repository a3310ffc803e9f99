"""InnerProduct and Embed against matrix products and table look-ups in NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from caffe._caffe.errors import LayerError
from tests.engine.support.layer_case import build, check_gradient, random, run


@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("axis, rows", [(1, (2,)), (2, (2, 3)), (-1, (2, 3)), (0, ())])
def test_inner_product(axis, rows, bias, transpose):
    x = random(2, 3, 4)
    flat = x.reshape(*rows, -1)
    weight, b = random(5, flat.shape[-1], seed=1), random(5)
    params = [weight.T if transpose else weight, *([b] if bias else [])]
    body = (
        f'type: "InnerProduct" inner_product_param {{ num_output: 5 axis: {axis} '
        f"bias_term: {str(bias).lower()} transpose: {str(transpose).lower()} }}"
    )
    top = run(body, {"x": x}, params).tops["top"]
    assert top.shape == (*rows, 5)
    np.testing.assert_allclose(top, flat @ weight.T + b * bias, atol=1e-5)
    check_gradient(body, {"x": x}, params)


@pytest.mark.parametrize("transpose", [False, True])
def test_inner_product_computes_with_the_weights_of_now_wherever_they_moved(transpose):
    x, weight = random(3, 4), random(4, 5, seed=1) if transpose else random(5, 4, seed=1)
    body = f'type: "InnerProduct" inner_product_param {{ num_output: 5 transpose: {str(transpose).lower()} }}'
    net, other = (build(body, {"x": x}, [weight * scale, np.zeros(5)]) for scale in (1, 2))
    product = x @ (weight if transpose else weight.T)
    net.blobs["x"].data[...] = x
    net.forward()
    net.params["layer"][0].data[...] *= 3
    np.testing.assert_allclose(net.forward()["top"], 3 * product, atol=1e-5)
    net.share_with(other)
    np.testing.assert_allclose(net.forward()["top"], 2 * product, atol=1e-5)
    other.params["layer"][0].data[...] = weight
    np.testing.assert_allclose(net.forward()["top"], product, atol=1e-5)


def test_inner_product_takes_any_batch_but_not_another_number_of_features():
    net = build('type: "InnerProduct" inner_product_param { num_output: 2 }', {"x": random(2, 3, 4)})
    net.blobs["x"].reshape(5, 12)
    net.forward()
    assert net.blobs["top"].data.shape == (5, 2)
    net.blobs["x"].reshape(5, 11)
    with pytest.raises(LayerError, match=r"weights are for 12 inputs.*\(5, 11\) has 11"):
        net.forward()


def embed(rows: int, bias: bool = True) -> str:
    """An Embed under a loss; under force_backward it refuses, as its indices have no gradient."""
    return f"""
        layer {{ name: "embed" type: "Embed" bottom: "x" top: "y"
                embed_param {{ num_output: 3 input_dim: {rows} bias_term: {str(bias).lower()} }} }}
        layer {{ name: "scaled" type: "Power" bottom: "y" top: "top" loss_weight: 1 }}"""


@pytest.mark.parametrize("bias", [True, False])
def test_embed_looks_rows_up_and_accumulates_their_gradient(bias):
    x = np.array([[0, 3], [3, 1.9]])  # 1.9 is cut to 1
    params = [random(4, 3, seed=1), *([random(3)] if bias else [])]
    dy = random(2, 2, 3, seed=2)
    result = run(embed(4, bias), {"x": x}, params, topdiff={"top": dy}, force_backward=False)
    rows = x.astype(int)
    np.testing.assert_allclose(result.tops["top"], params[0][rows] + (params[1] if bias else 0), atol=1e-6)
    table = np.zeros((4, 3))
    np.add.at(table, rows, dy)
    np.testing.assert_allclose(result.param_diffs[0], table, atol=1e-6)
    if bias:
        np.testing.assert_allclose(result.param_diffs[1], dy.sum((0, 1)), atol=1e-6)


def test_embed_has_no_gradient_for_its_indices():
    with pytest.raises(LayerError, match="cannot backpropagate to the indices"):
        run(embed(4), {"x": np.zeros((2, 2))}, topdiff={"top": np.zeros((2, 2, 3))})


@pytest.mark.parametrize("wrong", [4, -1, np.nan])
def test_embed_refuses_indices_outside_its_table(wrong):
    with pytest.raises(LayerError, match="is not in 0 to 3"):
        run(embed(4), {"x": np.array([0, wrong])})


@pytest.mark.parametrize(
    "kind, body, message",
    [
        ("InnerProduct", "inner_product_param { }", "num_output"),
        ("InnerProduct", "inner_product_param { num_output: 2 axis: 6 }", "axis 6 out of range"),
        ("Embed", "embed_param { input_dim: 3 }", "num_output"),
        ("Embed", "embed_param { num_output: 3 }", "input_dim"),
    ],
)
def test_refusals(kind, body, message):
    with pytest.raises(RuntimeError, match=message):
        build(f'type: "{kind}" {body}', {"x": random(2, 3)})


def test_parameters_that_a_prototxt_brings_must_have_the_layers_shapes():
    body = 'type: "InnerProduct" inner_product_param { num_output: 1 } '
    good = "blobs { shape { dim: 1 dim: 2 } data: 3 data: 4 } blobs { shape { dim: 1 } data: 5 }"
    assert run(body + good, {"x": np.array([[1.0, 10]])}).tops["top"].item() == 48
    with pytest.raises(LayerError, match="has 1 blobs, expected 2"):
        build(body + "blobs { shape { dim: 1 dim: 2 } data: 3 data: 4 }", {"x": random(1, 2)})
    with pytest.raises(LayerError, match=r"expected \(1, 3\)"):
        build(body + good, {"x": random(1, 3)})


OLD = "num: 1 channels: 1 height: %d width: %d"


@pytest.mark.parametrize("transpose", ["false", "true"])
def test_blobs_of_old_prototxts_need_only_the_right_count(transpose):
    rows, columns = (3, 2) if transpose == "true" else (2, 3)
    weight = random(rows, columns)
    text = (
        f'type: "InnerProduct" inner_product_param {{ num_output: 2 transpose: {transpose} }} '
        f"blobs {{ {OLD % (rows, columns)} {' '.join(f'data: {w!r}' for w in weight.ravel().tolist())} }} "
        f"blobs {{ {OLD % (1, 2)} data: 5 data: 6 }}"
    )
    x, dy = random(4, 3, seed=1), random(4, 2, seed=2)
    result = run(text, {"x": x}, topdiff=dy)
    matrix = weight if transpose == "true" else weight.T
    np.testing.assert_allclose(result.tops["top"], x @ matrix + [5, 6], rtol=1e-5)
    np.testing.assert_allclose(result.bottom_diffs["x"], dy @ matrix.T, rtol=1e-4, atol=1e-6)
    assert [diff.shape for diff in result.param_diffs] == [(1, 1, rows, columns), (1, 1, 1, 2)]
    grad = (x.T @ dy) if transpose == "true" else (dy.T @ x)
    np.testing.assert_allclose(result.param_diffs[0][0, 0], grad, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(result.param_diffs[1][0, 0, 0], dy.sum(0), rtol=1e-4, atol=1e-6)


def test_a_table_of_an_old_prototxt():
    text = (
        'type: "Embed" embed_param { num_output: 2 input_dim: 3 bias_term: false } '
        f"blobs {{ {OLD % (3, 2)} data: [0, 1, 2, 3, 4, 5] }}"
    )
    result = run(text + " propagate_down: false", {"x": np.array([2, 0])}, force_backward=False)
    np.testing.assert_array_equal(result.tops["top"], [[4, 5], [0, 1]])
