"""Element-wise activations and Softmax, against their formulas and finite differences, apart and in place."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import caffe
from caffe._caffe import LayerError
from tests.engine.support.layer_case import build, check_gradient, forward, random, run

IN_PLACE = ' top: "x"'


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


FORMULAS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    'type: "ReLU"': lambda x: np.maximum(x, 0),
    'type: "ReLU" relu_param { negative_slope: 0.25 }': lambda x: np.where(x > 0, x, 0.25 * x),
    'type: "ReLU" relu_param { negative_slope: -0.5 }': lambda x: np.where(x > 0, x, -0.5 * x),
    'type: "ELU"': lambda x: np.where(x > 0, x, np.exp(x) - 1),
    'type: "ELU" elu_param { alpha: 0.5 }': lambda x: np.where(x > 0, x, 0.5 * (np.exp(x) - 1)),
    'type: "ELU" elu_param { alpha: -0.5 }': lambda x: np.where(x > 0, x, -0.5 * (np.exp(x) - 1)),
    'type: "Sigmoid"': sigmoid,
    'type: "TanH"': np.tanh,
    'type: "Swish"': lambda x: x * sigmoid(x),
    'type: "Swish" swish_param { beta: 2 }': lambda x: x * sigmoid(2 * x),
    'type: "BNLL"': lambda x: np.log(1 + np.exp(x)),
    'type: "Clip" clip_param { min: -0.5 max: 0.75 }': lambda x: np.clip(x, -0.5, 0.75),
    'type: "Power"': lambda x: x,
    'type: "Power" power_param { scale: 3 shift: -1 }': lambda x: 3 * x - 1,
    'type: "Power" power_param { power: 2 }': lambda x: x**2,
    'type: "Power" power_param { power: 2 scale: 0.5 shift: 3 }': lambda x: (0.5 * x + 3) ** 2,
    'type: "Power" power_param { power: 3 scale: 2 }': lambda x: (2 * x) ** 3,
    'type: "Power" power_param { power: -1.5 scale: 0.5 shift: 4 }': lambda x: (0.5 * x + 4) ** -1.5,
    'type: "Power" power_param { power: 0 shift: 7 }': np.ones_like,
    'type: "Power" power_param { power: 3 scale: 0 shift: 2 }': lambda x: np.full_like(x, 8),
    'type: "Exp"': np.exp,
    'type: "Exp" exp_param { base: 2 scale: 0.5 shift: 1.5 }': lambda x: 2 ** (0.5 * x + 1.5),
    'type: "Exp" exp_param { shift: -1 }': lambda x: np.exp(x - 1),
    'type: "Log" log_param { shift: 8 }': lambda x: np.log(x + 8),
    'type: "Log" log_param { base: 4 scale: 0.5 shift: 6 }': lambda x: np.log(0.5 * x + 6) / np.log(4),
    'type: "Softmax"': lambda x: np.exp(x) / np.exp(x).sum(1, keepdims=True),
    'type: "Softmax" softmax_param { axis: -1 }': lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True),
}


#: What marks the texts whose gradient in place is not the derivative.
TAKEN_AT_THE_TOP = ("Power", "Log", "BNLL", "Clip", "negative_slope: -", "alpha: -")


@pytest.mark.parametrize("text", FORMULAS)
@pytest.mark.parametrize("where", ["", IN_PLACE], ids=["apart", "in_place"])
def test_formula_and_gradient(text: str, where: str) -> None:
    x = random(2, 3, 4)
    (y,) = run(text + where, {"x": x}).tops.values()
    np.testing.assert_allclose(y, FORMULAS[text](x), rtol=1e-5, atol=1e-6)
    if not (where and any(mark in text for mark in TAKEN_AT_THE_TOP)):
        check_gradient(text + where, {"x": x})


def test_shapes_of_any_number_of_axes() -> None:
    for shape in [(), (5,), (2, 1, 3, 1, 2)]:
        assert run('type: "ReLU"', {"x": random(*shape)}).tops["top"].shape == shape


def gradient_factor(text: str, x: list[float]) -> np.ndarray:
    return run(text, {"x": np.array(x)}, topdiff=np.ones(len(x))).bottom_diffs["x"]


def test_at_the_kink() -> None:
    assert gradient_factor('type: "ReLU"', [0.0]) == [0]
    assert gradient_factor('type: "ReLU" relu_param { negative_slope: 0.25 }', [0.0]) == [0.25]
    assert gradient_factor('type: "ELU" elu_param { alpha: 0.5 }', [0.0]) == [0.5]
    np.testing.assert_array_equal(gradient_factor('type: "AbsVal"', [-2.0, 0.0, 3.0]), [-1, 0, 1])


def test_clip_passes_the_gradient_at_both_ends() -> None:
    text = 'type: "Clip" clip_param { min: -1 max: 2 }'
    np.testing.assert_array_equal(gradient_factor(text, [-1.5, -1, 0, 2, 2.5]), [0, 1, 1, 1, 0])


def test_clip_gives_min_for_nan() -> None:
    x = np.array([np.nan, np.inf, -np.inf])
    top = run('type: "Clip" clip_param { min: -1 max: 2 }', {"x": x}).tops["top"]
    np.testing.assert_array_equal(top, [-1, 2, -1])


def test_relu_of_what_is_not_finite() -> None:
    x = np.array([-np.inf, np.inf, np.nan])
    result = run('type: "ReLU"', {"x": x}, topdiff=np.array([5.0, 7, 9]))
    np.testing.assert_array_equal(result.tops["top"], [0, np.inf, np.nan])
    np.testing.assert_array_equal(result.bottom_diffs["x"], [0, 7, 9])
    sloped = run('type: "ReLU" relu_param { negative_slope: 0.5 }', {"x": x}).tops["top"]
    np.testing.assert_array_equal(sloped, [-np.inf, np.inf, np.nan])


def test_clip_with_swapped_ends_gives_min() -> None:
    top = run('type: "Clip" clip_param { min: 1 max: -1 }', {"x": np.array([-3.0, 0, 3])}).tops["top"]
    np.testing.assert_array_equal(top, [1, 1, 1])


@pytest.mark.parametrize(
    ("param", "expected"),
    [
        ("power: 3", [np.nan, 12]),
        ("power: 0.5", [np.nan, 0.5 / np.sqrt(2)]),
        ("power: 3 scale: 2 shift: 0", [np.nan, 96]),
        ("power: 2", [0, 4]),
        ("power: 1", [1, 1]),
        ("power: 0", [0, 0]),
        ("scale: 0 power: 2 shift: 3", [0, 0]),
    ],
)
def test_power_has_no_gradient_at_a_zero_base(param: str, expected: list[float]) -> None:
    found = gradient_factor(f'type: "Power" power_param {{ {param} }}', [0.0, 2.0])
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("param", "factor"),
    [
        ("scale: 3", lambda y: 3),
        ("power: 2 scale: 3 shift: 1", lambda y: 6 * (3 * y + 1)),
        ("power: 3 scale: 2", lambda y: 3),
        ("power: 3 scale: 2 shift: 1", lambda y: 6 * y / (2 * y + 1)),
    ],
)
def test_power_in_place_has_caffes_gradient(param: str, factor) -> None:
    x, dy = np.array([1.0, 2]), np.array([5.0, 7])
    result = run(f'type: "Power" power_param {{ {param} }}' + IN_PLACE, {"x": x}, topdiff=dy)
    expected = np.broadcast_to(factor(result.tops["x"]) ** 2, 2)
    np.testing.assert_allclose(result.bottom_diffs["x"], expected, rtol=1e-5)


def log_in_place(data: np.ndarray, diff: np.ndarray, base: float, scale: float, shift: float) -> None:
    """Caffe's steps: the factor is made in the bottom's diff, then multiplied by the top's, the same one."""
    diff[...] = data
    diff *= scale
    diff += shift
    diff **= -1
    diff *= scale / np.log(base)
    diff *= diff


def bnll_in_place(data: np.ndarray, diff: np.ndarray) -> None:
    for i, value in enumerate(data):
        power = np.exp(min(value, 50))
        diff[i] = diff[i] * power / (power + 1)


def clip_in_place(data: np.ndarray, diff: np.ndarray, least: float, most: float) -> None:
    for i, value in enumerate(data):
        diff[i] *= least <= value <= most


def relu_in_place(data: np.ndarray, diff: np.ndarray, slope: float) -> None:
    for i, value in enumerate(data):
        diff[i] *= (value > 0) + slope * (value <= 0)


def elu_in_place(data: np.ndarray, diff: np.ndarray, alpha: float) -> None:
    for i, value in enumerate(data):
        diff[i] *= (value > 0) + (alpha + value) * (value <= 0)


@pytest.mark.parametrize(
    ("text", "backward", "arguments"),
    [
        ('type: "Log" log_param { base: 2 scale: 0.5 shift: 3 }', log_in_place, (2, 0.5, 3)),
        ('type: "Log" log_param { shift: 3 }', log_in_place, (np.e, 1, 3)),
        ('type: "BNLL"', bnll_in_place, ()),
        ('type: "Clip" clip_param { min: -0.5 max: 0.75 }', clip_in_place, (-0.5, 0.75)),
        ('type: "ReLU" relu_param { negative_slope: -0.5 }', relu_in_place, (-0.5,)),
        ('type: "ELU" elu_param { alpha: -0.5 }', elu_in_place, (-0.5,)),
    ],
)
def test_in_place_the_gradient_is_taken_at_the_top_as_in_caffe(text: str, backward, arguments: tuple) -> None:
    x, dy = np.array([-1.5, -0.25, 0, 0.5, 2]), np.array([3.0, -2, 5, 7, -11])
    result = run(text + IN_PLACE, {"x": x}, topdiff=dy)
    data, diff = result.tops["x"].astype(float), dy.copy()
    backward(data, diff, *arguments)
    np.testing.assert_allclose(result.bottom_diffs["x"], diff, rtol=1e-5)
    apart = run(text, {"x": x}, topdiff=dy)
    np.testing.assert_array_equal(data, apart.tops["top"])
    assert not np.allclose(diff, apart.bottom_diffs["x"])


def test_large_values_do_not_overflow() -> None:
    x = np.array([[-500.0, 0, 500]])
    np.testing.assert_allclose(run('type: "BNLL"', {"x": x}).tops["top"], [[0, np.log(2), 500]], rtol=1e-6)
    np.testing.assert_allclose(run('type: "Softmax"', {"x": x}).tops["top"], [[0, 0, 1]])
    np.testing.assert_allclose(run('type: "Sigmoid"', {"x": x}).tops["top"], [[0, 0.5, 1]])


def test_absval() -> None:
    x = random(2, 3)
    np.testing.assert_allclose(run('type: "AbsVal"', {"x": x}).tops["top"], np.abs(x), rtol=1e-6)
    check_gradient('type: "AbsVal"', {"x": x})
    with pytest.raises(LayerError, match="does not run in place"):
        build('type: "AbsVal"' + IN_PLACE, {"x": x})


def test_threshold_is_strict_and_has_no_gradient() -> None:
    text, x = 'type: "Threshold" threshold_param { threshold: 0.5 }', np.array([0.25, 0.5, 0.75])
    np.testing.assert_array_equal(run(text, {"x": x}).tops["top"], [0, 0, 1])
    with pytest.raises(LayerError, match="Threshold.*no gradient"):
        run(text, {"x": x}, topdiff=np.ones(3))


@pytest.mark.parametrize("where", ["", IN_PLACE], ids=["apart", "in_place"])
@pytest.mark.parametrize("shape", [(3, 4), (2, 4, 3, 2), (2, 4, 3, 2, 2)])
def test_prelu(where: str, shape: tuple[int, ...]) -> None:
    x, slopes = random(*shape), random(4, seed=1)
    along = slopes.reshape(1, 4, *[1] * (len(shape) - 2))
    (y,) = run('type: "PReLU"' + where, {"x": x}, [slopes]).tops.values()
    np.testing.assert_allclose(y, np.where(x > 0, x, along * x), rtol=1e-5)
    check_gradient('type: "PReLU"' + where, {"x": x}, [slopes])
    check_gradient('type: "PReLU" prelu_param { channel_shared: true }' + where, {"x": x}, [np.array(0.5)])


def test_prelu_starts_with_a_quarter() -> None:
    assert build('type: "PReLU"', {"x": random(1, 3)}).params["layer"][0].data.tolist() == [0.25] * 3
    shared = build(
        'type: "PReLU" prelu_param { channel_shared: true filler { value: 0.5 } }', {"x": random(1, 3)}
    )
    assert shared.params["layer"][0].data.shape == () and shared.params["layer"][0].data == 0.5


def test_prelu_refuses_what_its_slopes_do_not_fit() -> None:
    with pytest.raises(LayerError, match=r"at least 2 axes; it is \(4,\)"):
        build('type: "PReLU"', {"x": random(4)})
    with pytest.raises(LayerError, match="needs 4 slope"):
        build('type: "PReLU" blobs { shape { dim: 3 } data: [1, 1, 1] }', {"x": random(2, 4)})
    net = build('type: "PReLU"', {"x": random(2, 4)})
    net.blobs["x"].reshape(2, 5)
    with pytest.raises(LayerError, match=r"\(2, 5\) needs 5 slope"):
        net.forward()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('type: "Exp" exp_param { base: 0 }', "base must be -1"),
        ('type: "Exp" exp_param { base: -2 }', "base must be -1"),
        ('type: "Log" log_param { base: 0 }', "base must be -1"),
        ('type: "Log" log_param { base: 1 }', "no logarithm to base 1"),
        ('type: "Softmax" softmax_param { axis: 2 }', "axis 2 out of range"),
    ],
)
def test_impossible_settings(text: str, message: str) -> None:
    with pytest.raises(LayerError, match=f"layer 'layer' .*{message}"):
        build(text, {"x": random(2, 3)})


@pytest.mark.parametrize("kind", ["ReLU", "Sigmoid", "TanH", "Softmax"])
def test_engine_changes_nothing(kind: str) -> None:
    x = random(2, 3)
    (plain,) = run(f'type: "{kind}"', {"x": x}).tops.values()
    (cudnn,) = run(f'type: "{kind}" {kind.lower()}_param {{ engine: CUDNN }}', {"x": x}).tops.values()
    np.testing.assert_array_equal(plain, cudnn)


def test_an_array_held_by_the_user_follows_an_in_place_layer() -> None:
    x = np.array([-1.0, 2.0])
    net = build('type: "ReLU"' + IN_PLACE, {"x": x})
    held = net.blobs["x"].data
    forward(net, {"x": x})
    np.testing.assert_array_equal(held, [0, 2])
    grad = net.blobs["x"].diff
    grad[...] = [5, 7]
    net.backward()
    np.testing.assert_array_equal(grad, [0, 7])


def test_gradient_after_a_later_layer_overwrote_the_top() -> None:
    text = """
        layer { name: "relu" type: "ReLU" bottom: "x" top: "y" }
        layer { name: "half" type: "Scale" bottom: "y" top: "y" scale_param { filler { value: -0.5 } } }
    """
    x = np.array([[-1.0, 2.0]])
    result = run(text, {"x": x}, topdiff=np.ones((1, 2)), phase=caffe.TRAIN)
    np.testing.assert_array_equal(result.bottom_diffs["x"], [[0, -0.5]])
