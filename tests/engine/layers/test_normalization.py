"""BatchNorm, LRN, MVN against NumPy and finite differences; stored statistics and Caffe's own habits."""

from __future__ import annotations

import numpy as np
import pytest

import caffe
from caffe._caffe import LayerError
from tests.engine.support.layer_case import build, check_gradient, forward, random, run

IN_PLACE = ' top: "x"'
BOTH_WAYS = pytest.mark.parametrize("where", ["", IN_PLACE], ids=["apart", "in_place"])


def normal(x: np.ndarray, axes: tuple[int, ...], eps: float) -> np.ndarray:
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + eps)


@BOTH_WAYS
@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 2, 3), (1, 2, 5), (2, 2, 2, 1, 2)])
@pytest.mark.parametrize(("fields", "eps"), [("", 1e-5), ("eps: 0.5", 0.5)])
def test_batch_statistics(shape: tuple[int, ...], fields: str, eps: float, where: str) -> None:
    x = random(*shape) * 2 + 1
    text = f'type: "BatchNorm" batch_norm_param {{ {fields} }} {where}'
    (y,) = run(text, {"x": x}, phase=caffe.TRAIN).tops.values()
    axes = tuple(axis for axis in range(len(shape)) if axis != 1)
    np.testing.assert_allclose(y, normal(x, axes, eps), rtol=1e-4, atol=1e-5)
    check_gradient(text, {"x": x}, tolerance=1e-5, phase=caffe.TRAIN)


def statistics(net: caffe.Net) -> list[np.ndarray]:
    return [blob.data.copy() for blob in net.params["layer"]]


def test_statistics_are_sums_of_which_the_variance_is_unbiased() -> None:
    first, second = random(4, 2, 3), random(4, 2, 3, seed=1) + 1
    net = build(
        'type: "BatchNorm" batch_norm_param { moving_average_fraction: 0.5 }', {"x": first}, phase=caffe.TRAIN
    )
    assert [blob.data.tolist() for blob in net.params["layer"]] == [[0, 0], [0, 0], [0]]
    forward(net, {"x": first})
    forward(net, {"x": second})
    mean, variance, weight = statistics(net)
    np.testing.assert_allclose(mean, 0.5 * first.mean((0, 2)) + second.mean((0, 2)), rtol=1e-5)
    unbiased = [x.transpose(1, 0, 2).reshape(2, -1).var(1, ddof=1) for x in (first, second)]
    np.testing.assert_allclose(variance, 0.5 * unbiased[0] + unbiased[1], rtol=1e-5)
    assert weight == [1.5]


def test_one_value_per_channel_has_variance_zero() -> None:
    net = build('type: "BatchNorm"', {"x": random(1, 3)}, phase=caffe.TRAIN)
    np.testing.assert_array_equal(forward(net, {"x": np.array([[1, 2, 3]])})["top"], np.zeros((1, 3)))
    mean, variance, _ = statistics(net)
    np.testing.assert_array_equal(mean, [1, 2, 3])
    np.testing.assert_array_equal(variance, [0, 0, 0])


@BOTH_WAYS
def test_stored_statistics(where: str) -> None:
    x, params = random(2, 3, 4), [random(3, seed=1), np.array([4.0, 8, 2]), np.array([2.0])]
    text = 'type: "BatchNorm"' + where
    (y,) = run(text, {"x": x}, params).tops.values()
    mean, variance = (stored.reshape(1, 3, 1) / 2 for stored in params[:2])
    np.testing.assert_allclose(y, (x - mean) / np.sqrt(variance + 1e-5), rtol=1e-4, atol=1e-5)
    dy = random(2, 3, 4, seed=2)
    dx = run(text, {"x": x}, params, topdiff=dy).bottom_diffs["x"]
    np.testing.assert_allclose(dx, dy / np.sqrt(variance + 1e-5), rtol=1e-4)


def test_untrained_layer_divides_by_the_root_of_eps() -> None:
    x = random(2, 3)
    np.testing.assert_allclose(run('type: "BatchNorm"', {"x": x}).tops["top"], x / np.sqrt(1e-5), rtol=1e-4)


def test_use_global_stats_beats_the_phase() -> None:
    x = random(4, 2)
    net = build('type: "BatchNorm" batch_norm_param { use_global_stats: true }', {"x": x}, phase=caffe.TRAIN)
    forward(net, {"x": x})
    assert statistics(net)[2] == [0]
    net = build('type: "BatchNorm" batch_norm_param { use_global_stats: false }', {"x": x}, phase=caffe.TEST)
    forward(net, {"x": x})
    assert statistics(net)[2] == [1]


@BOTH_WAYS
def test_batch_norm_then_scale_then_relu_as_networks_use_them(where: str) -> None:
    name = "x" if where else "n"
    text = """
        layer { name: "bn" type: "BatchNorm" bottom: "x" top: "NAME" }
        layer { name: "scale" type: "Scale" bottom: "NAME" top: "NAME" scale_param { bias_term: true } }
        layer { name: "relu" type: "ReLU" bottom: "NAME" top: "NAME" }
    """.replace("NAME", name)
    x, dy, s, b = random(3, 2, 4), random(3, 2, 4, seed=1), np.array([2.0, -1]), np.array([0.5, 1])
    params = [np.zeros(2), np.zeros(2), np.zeros(1), s, b]
    result = run(text, {"x": x}, params, phase=caffe.TRAIN, topdiff=dy)
    n = normal(x, (0, 2), 1e-5)
    y = n * s[:, None] + b[:, None]
    np.testing.assert_allclose(result.tops[name], np.maximum(y, 0), rtol=1e-4, atol=1e-5)
    dy = dy * (y > 0)
    np.testing.assert_allclose(result.param_diffs[3], (dy * n).sum((0, 2)), rtol=1e-4)
    np.testing.assert_allclose(result.param_diffs[4], dy.sum((0, 2)), rtol=1e-4)
    dn = dy * s[:, None]
    along = {"axis": (0, 2), "keepdims": True}
    dx = (dn - dn.mean(**along) - (dn * n).mean(**along) * n) / np.sqrt(x.var(**along) + 1e-5)
    np.testing.assert_allclose(result.bottom_diffs["x"], dx, rtol=1e-3, atol=1e-5)


def test_statistics_are_not_learned() -> None:
    net = build('type: "BatchNorm"', {"x": random(2, 3)}, phase=caffe.TRAIN)
    specs = net.layers[list(net._layer_names).index("layer")].layer_param.param
    assert [spec.lr_mult for spec in specs] == [0, 0, 0]
    with pytest.raises(LayerError, match="param 0 has lr_mult 1"):
        build('type: "BatchNorm" param { lr_mult: 1 }', {"x": random(2, 3)})


def test_batch_norm_refuses() -> None:
    with pytest.raises(LayerError, match=r"at least 2 axes; it is \(3,\)"):
        build('type: "BatchNorm"', {"x": random(3)})
    net = build('type: "BatchNorm"', {"x": random(2, 3)})
    net.blobs["x"].reshape(2, 4)
    with pytest.raises(LayerError, match=r"a bottom of \(2, 4\) needs params of 4, 4 and 1"):
        net.forward()


def lrn(x: np.ndarray, size: int, alpha: float, beta: float, k: float, across: bool) -> np.ndarray:
    half, squares = size // 2, np.zeros_like(x)
    for n, c, h, w in np.ndindex(x.shape):
        near = [slice(max(i - half, 0), i + half + 1) for i in ((c,) if across else (h, w))]
        squares[n, c, h, w] = (x[n, near[0], h, w] ** 2 if across else x[n, c, near[0], near[1]] ** 2).sum()
    return x * ((k if across else 1) + alpha / (size if across else size**2) * squares) ** -beta


@BOTH_WAYS
@pytest.mark.parametrize("region", ["ACROSS_CHANNELS", "WITHIN_CHANNEL"])
@pytest.mark.parametrize(
    ("size", "alpha", "beta", "k"), [(5, 1, 0.75, 1), (3, 0.5, 0.5, 2), (1, 1, 0.75, 1), (9, 2, 1.5, 1)]
)
def test_lrn(region: str, size: int, alpha: float, beta: float, k: float, where: str) -> None:
    x = random(2, 4, 3, 5)
    fields = f"local_size: {size} alpha: {alpha} beta: {beta} k: {k} norm_region: {region}"
    text = f'type: "LRN" lrn_param {{ {fields} }} {where}'
    (y,) = run(text, {"x": x}).tops.values()
    np.testing.assert_allclose(y, lrn(x, size, alpha, beta, k, region[0] == "A"), rtol=1e-4, atol=1e-6)
    check_gradient(text, {"x": x})


def test_lrn_refuses() -> None:
    with pytest.raises(LayerError, match="local_size must be odd, not 4"):
        build('type: "LRN" lrn_param { local_size: 4 }', {"x": random(1, 3, 2, 2)})
    with pytest.raises(LayerError, match=r"must be N x C x H x W; it is \(2, 3\)"):
        build('type: "LRN"', {"x": random(2, 3)})


@BOTH_WAYS
@pytest.mark.parametrize(("across", "axes"), [("false", (2, 3)), ("true", (1, 2, 3))])
def test_mvn(across: str, axes: tuple[int, ...], where: str) -> None:
    x = random(2, 3, 2, 4) * 3 + 1
    text = f'type: "MVN" mvn_param {{ across_channels: {across} }} {where}'
    (y,) = run(text, {"x": x}).tops.values()
    np.testing.assert_allclose(y, normal(x, axes, 0), rtol=1e-4, atol=1e-5)
    check_gradient(text, {"x": x}, tolerance=1e-5)
    mean_only = f'type: "MVN" mvn_param {{ across_channels: {across} normalize_variance: false }} {where}'
    (y,) = run(mean_only, {"x": x}).tops.values()
    np.testing.assert_allclose(y, x - x.mean(axes, keepdims=True), rtol=1e-4, atol=1e-5)
    check_gradient(mean_only, {"x": x})


def test_mvn_adds_eps_to_the_deviation_and_its_gradient_overlooks_it() -> None:
    x, dy = random(1, 1, 2, 3), random(1, 1, 2, 3, seed=1)
    result = run('type: "MVN" mvn_param { eps: 0.5 }', {"x": x}, topdiff=dy)
    y = (x - x.mean()) / (x.std() + 0.5)
    np.testing.assert_allclose(result.tops["top"], y, rtol=1e-5)
    dx = (dy - dy.mean() - (dy * y).mean() * y) / (x.std() + 0.5)
    np.testing.assert_allclose(result.bottom_diffs["x"], dx, rtol=1e-4, atol=1e-6)


def test_mvn_makes_four_axes() -> None:
    assert run('type: "MVN"', {"x": random(2, 3)}).tops["top"].shape == (2, 3, 1, 1)
    with pytest.raises(LayerError, match="at most 4 axes"):
        build('type: "MVN"', {"x": random(1, 2, 1, 2, 1)})


APART_AND_IN_PLACE = {
    "MVN": ('type: "MVN"', (2, 3, 4, 5)),
    "LRN across": ('type: "LRN" lrn_param { local_size: 3 }', (2, 4, 3, 3)),
    "LRN within": ('type: "LRN" lrn_param { local_size: 3 norm_region: WITHIN_CHANNEL }', (2, 2, 4, 4)),
}


@pytest.mark.parametrize("name", APART_AND_IN_PLACE)
def test_in_place_gives_the_values_and_the_gradient_it_gives_elsewhere(name):
    text, shape = APART_AND_IN_PLACE[name]
    x, dy = np.clip(random(*shape), -2, 2), random(*shape, seed=1)
    apart = run(text, {"x": x}, topdiff=dy)
    net = 'layer { name: "before" type: "Power" bottom: "x" top: "y" }'
    net += f'layer {{ name: "layer" bottom: "y" top: "y" {text} }}'
    within = run(net, {"x": x}, topdiff=dy)
    np.testing.assert_array_equal(within.tops["y"], apart.tops["top"])
    np.testing.assert_allclose(within.bottom_diffs["x"], apart.bottom_diffs["x"], rtol=1e-6, atol=1e-7)
