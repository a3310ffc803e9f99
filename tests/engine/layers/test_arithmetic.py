"""Eltwise and Reduction against NumPy and finite differences; ties, zeros, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from caffe._caffe import LayerError
from tests.engine.support.layer_case import build, check_gradient, forward, random, run

IN_PLACE = ' top: "a"'


def eltwise(fields: str) -> str:
    return f'type: "Eltwise" eltwise_param {{ {fields} }}'


def inputs(count: int) -> dict[str, np.ndarray]:
    return {name: random(2, 3, 2, seed=seed) for seed, name in enumerate("abcd"[:count])}


@pytest.mark.parametrize("where", ["", IN_PLACE], ids=["apart", "in_place"])
@pytest.mark.parametrize("count", [2, 3, 4])
@pytest.mark.parametrize(
    ("fields", "function"),
    [
        ("", sum),
        ("operation: PROD", lambda xs: np.prod(xs, 0)),
        ("operation: PROD stable_prod_grad: false", lambda xs: np.prod(xs, 0)),
        ("operation: MAX", lambda xs: np.max(xs, 0)),
    ],
)
def test_eltwise(fields: str, function, count: int, where: str) -> None:
    arrays = inputs(count)
    (y,) = run(eltwise(fields) + where, arrays).tops.values()
    np.testing.assert_allclose(y, function(list(arrays.values())), rtol=1e-5, atol=1e-6)
    check_gradient(eltwise(fields) + where, arrays)


@pytest.mark.parametrize("where", ["", IN_PLACE], ids=["apart", "in_place"])
@pytest.mark.parametrize("coeffs", [(0.5, -2, 3), (1, 0.25, 1), (1, 1, 1)])
def test_weighted_sum(coeffs: tuple[float, ...], where: str) -> None:
    arrays = inputs(3)
    text = eltwise(" ".join(f"coeff: {coeff}" for coeff in coeffs)) + where
    (y,) = run(text, arrays).tops.values()
    expected = sum(coeff * x for coeff, x in zip(coeffs, arrays.values()))
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)
    check_gradient(text, arrays)


def test_ties_of_the_maximum() -> None:
    arrays = {
        "a": np.array([1.0, 1, 2, 1]),
        "b": np.array([1.0, 0, 1, 0]),
        "c": np.array([1.0, 1, 2, 2]),
    }
    result = run(eltwise("operation: MAX"), arrays, topdiff=np.ones(4))
    np.testing.assert_array_equal(result.tops["top"], [1, 1, 2, 2])
    np.testing.assert_array_equal(result.bottom_diffs["a"], [0, 1, 1, 0])
    np.testing.assert_array_equal(result.bottom_diffs["b"], [1, 0, 0, 0])
    np.testing.assert_array_equal(result.bottom_diffs["c"], [0, 0, 0, 1])


def test_maximum_accepts_and_ignores_coefficients() -> None:
    arrays = inputs(2)
    weighted = run(eltwise("operation: MAX coeff: -1 coeff: 5"), arrays, topdiff=np.ones((2, 3, 2)))
    plain = run(eltwise("operation: MAX"), arrays, topdiff=np.ones((2, 3, 2)))
    np.testing.assert_array_equal(weighted.tops["top"], plain.tops["top"])
    np.testing.assert_array_equal(weighted.bottom_diffs["a"], plain.bottom_diffs["a"])


def test_product_at_zero() -> None:
    arrays = {"a": np.array([0.0, 2]), "b": np.array([3.0, 4])}
    stable = run(eltwise("operation: PROD"), arrays, topdiff=np.ones(2))
    np.testing.assert_array_equal(stable.bottom_diffs["a"], [3, 4])
    quotient = run(eltwise("operation: PROD stable_prod_grad: false"), arrays, topdiff=np.ones(2))
    np.testing.assert_array_equal(quotient.bottom_diffs["a"], [np.nan, 4])


def test_one_blob_twice() -> None:
    text = 'layer { name: "double" type: "Eltwise" bottom: "x" bottom: "x" top: "top" }'
    result = run(text, {"x": np.array([1.0, 2])}, topdiff=np.array([1.0, 10]))
    np.testing.assert_array_equal(result.tops["top"], [2, 4])
    np.testing.assert_array_equal(result.bottom_diffs["x"], [2, 20])


def test_in_place_while_the_user_holds_the_arrays() -> None:
    arrays = {"a": np.array([1.0, 2]), "b": np.array([3.0, 4])}
    net = build(eltwise("coeff: 2 coeff: 5") + IN_PLACE, arrays)
    data, diff = net.blobs["a"].data, net.blobs["a"].diff
    forward(net, arrays)
    np.testing.assert_array_equal(data, [17, 24])
    diff[...] = [1, 10]
    net.backward()
    np.testing.assert_array_equal(diff, [2, 20])
    np.testing.assert_array_equal(net.blobs["b"].diff, [5, 50])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("coeff: 1", "one per bottom is needed, 2, not 1"),
        ("operation: PROD coeff: 1 coeff: 2", "only for SUM"),
    ],
)
def test_eltwise_refuses_coefficients(fields: str, message: str) -> None:
    with pytest.raises(LayerError, match=message):
        build(eltwise(fields), inputs(2))


def test_eltwise_refuses_shapes_that_differ() -> None:
    with pytest.raises(LayerError, match=r"bottom\[0\] is \(2, 3\), bottom\[1\] \(2, 4\)"):
        build(eltwise(""), {"a": random(2, 3), "b": random(2, 4)})


OPERATIONS = {
    "SUM": lambda x: x.sum(1),
    "MEAN": lambda x: x.mean(1),
    "ASUM": lambda x: np.abs(x).sum(1),
    "SUMSQ": lambda x: (x**2).sum(1),
}


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(("axis", "top"), [(0, ()), (1, (2,)), (-1, (2, 3)), (-3, ())])
@pytest.mark.parametrize("coeff", [1, 2.5])
def test_reduction(operation: str, axis: int, top: tuple[int, ...], coeff: float) -> None:
    x = random(2, 3, 4)
    text = f'type: "Reduction" reduction_param {{ operation: {operation} axis: {axis} coeff: {coeff} }}'
    found = run(text, {"x": x}).tops["top"]
    rows = x.reshape(int(np.prod(top)), -1)
    assert found.shape == top
    np.testing.assert_allclose(found, coeff * OPERATIONS[operation](rows).reshape(top), rtol=1e-5, atol=1e-6)
    check_gradient(text, {"x": x})


def test_reduction_defaults_to_the_sum_of_everything() -> None:
    assert run('type: "Reduction"', {"x": np.arange(6.0).reshape(2, 3)}).tops["top"] == 15


def test_reduction_follows_a_new_shape() -> None:
    net = build('type: "Reduction" reduction_param { operation: MEAN axis: 1 }', {"x": random(2, 3)})
    net.blobs["x"].reshape(1, 4)
    np.testing.assert_array_equal(forward(net, {"x": np.array([[1, 2, 3, 6]])})["top"], [3])


def test_asum_has_no_gradient_at_zero() -> None:
    text = 'type: "Reduction" reduction_param { operation: ASUM }'
    result = run(text, {"x": np.array([-2.0, 0, 3])}, topdiff=np.array(1.0))
    np.testing.assert_array_equal(result.bottom_diffs["x"], [-1, 0, 1])


def test_reduction_refuses() -> None:
    with pytest.raises(LayerError, match="axis 2 out of range"):
        build('type: "Reduction" reduction_param { axis: 2 }', {"x": random(2, 3)})
    with pytest.raises(LayerError, match="does not run in place"):
        build('type: "Reduction" top: "x"', {"x": random(2, 3)})


@pytest.mark.parametrize("operation", ["SUM", "MAX", "PROD"])
def test_eltwise_onto_its_first_bottom_is_right(operation):
    inputs = {"x": random(2, 3), "z": random(2, 3, seed=1)}
    text = f'type: "Eltwise" eltwise_param {{ operation: {operation} }}'
    dy = random(2, 3, seed=2)
    apart = run(text, inputs, topdiff=dy)
    before = 'layer { name: "before" type: "Power" bottom: "x" top: "y" }'
    net = f'{before} layer {{ name: "layer" bottom: "y" bottom: "z" top: "y" {text} }}'
    within = run(net, inputs, topdiff=dy)
    np.testing.assert_array_equal(within.tops["y"], apart.tops["top"])
    for name in inputs:
        np.testing.assert_array_equal(within.bottom_diffs[name], apart.bottom_diffs[name])


def test_a_maximum_with_nan_is_nan_whichever_bottom_it_is_in():
    nan = np.array([np.nan, 1, np.nan]), np.array([1, np.nan, np.nan])
    found = run('type: "Eltwise" eltwise_param { operation: MAX }', {"a": nan[0], "b": nan[1]})
    assert np.isnan(found.tops["top"]).all()
