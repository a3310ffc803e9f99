"""Pooling and SPP against an enumeration of their windows in NumPy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import caffe
from caffe._caffe.errors import LayerError
from tests.engine.support.layer_case import build, check_gradient, forward, random, run

LOWEST = -np.finfo(np.float32).max


def count(size: int, kernel: int, stride: int, pad: int, padded: bool, ceil: bool = True) -> int:
    """Windows along one axis; `padded`: whether either axis is."""
    ratio = (size + 2 * pad - kernel) / stride
    windows = (math.ceil(ratio) if ceil else math.floor(ratio)) + 1
    return windows - 1 if padded and (windows - 1) * stride >= size + pad else windows


def pooled(
    x: np.ndarray,
    kernel: Sequence[int],
    stride: Sequence[int],
    pad: Sequence[int],
    method: str = "MAX",
    ceil: bool = True,
) -> tuple[np.ndarray, np.ndarray]:
    """(top, mask) of shape (N, C, oh, ow); the mask is that of MAX."""
    size = x.shape[2:]
    places = [count(n, k, s, p, any(pad), ceil) for n, k, s, p in zip(size, kernel, stride, pad)]
    top, mask = np.zeros((*x.shape[:2], *places)), np.full((*x.shape[:2], *places), -1.0)
    for n, c, row, col in np.ndindex(top.shape):
        start = [row * stride[0] - pad[0], col * stride[1] - pad[1]]
        end = [min(a + k, m + p) for a, k, m, p in zip(start, kernel, size, pad)]
        area = (end[0] - start[0]) * (end[1] - start[1])
        inside = [
            (i, j)
            for i in range(max(start[0], 0), min(end[0], size[0]))
            for j in range(max(start[1], 0), min(end[1], size[1]))
        ]
        if method == "AVE":
            total = sum(x[(n, c, *at)] for at in inside)
            top[n, c, row, col] = np.float64(total) / area if area else np.nan
            continue
        best = LOWEST
        for i, j in inside:
            if x[n, c, i, j] > best:
                best, mask[n, c, row, col] = x[n, c, i, j], i * size[1] + j
        top[n, c, row, col] = best
    return top, mask


def text(
    kernel: Sequence[int], stride: Sequence[int], pad: Sequence[int], method: str = "MAX", extra: str = ""
) -> str:
    fields = zip(("kernel", "stride", "pad"), (kernel, stride, pad))
    body = " ".join(f"{name}_h: {h} {name}_w: {w}" for name, (h, w) in fields)
    return f'type: "Pooling" pooling_param {{ pool: {method} {body} {extra} }}'


pairs = st.tuples


@st.composite
def geometries(draw: st.DrawFn) -> tuple[Any, ...]:
    size = draw(pairs(st.integers(1, 9), st.integers(1, 9)))
    kernel = draw(pairs(st.integers(1, 4), st.integers(1, 4)))
    stride = draw(pairs(st.integers(1, 5), st.integers(1, 5)))
    pad = tuple(draw(st.integers(0, k - 1)) for k in kernel)
    ceil = draw(st.booleans())
    counts = [count(n, k, s, p, any(pad), ceil) for n, k, s, p in zip(size, kernel, stride, pad)]
    assume(min(counts) > 0)
    return size, (kernel, stride, pad), ceil


@settings(max_examples=150, deadline=None)
@given(geometries(), st.sampled_from(["random", "ties", "nan", "low"]))
def test_max_pooling_takes_the_first_maximum_of_each_clipped_window(geometry, content):
    size, window, ceil = geometry
    x = random(1, 2, *size)
    if content == "ties":
        x = np.sign(x)
    elif content == "nan":
        x[x > 0] = np.nan
    elif content == "low":
        x[x > -0.5] = -np.inf
    x = x.astype(np.float32)
    top, mask = pooled(x, *window, ceil=ceil)
    extra = "" if ceil else "round_mode: FLOOR"
    dy = random(*top.shape, seed=1)
    result = run(
        text(*window, extra=extra),
        {"x": x},
        tops=("top", "mask"),
        topdiff={"top": dy, "mask": np.zeros(top.shape)},
    )
    np.testing.assert_array_equal(result.tops["top"], top.astype(np.float32))
    np.testing.assert_array_equal(result.tops["mask"], mask)
    dx = np.zeros((1, 2, math.prod(size)))
    for at in np.ndindex(top.shape):
        if mask[at] >= 0:
            dx[at[0], at[1], int(mask[at])] += dy[at]
    np.testing.assert_allclose(result.bottom_diffs["x"], dx.reshape(x.shape), atol=1e-5)
    # Without a backward pass to come, and without a mask, the picks of many numbers are not computed.
    many = -(-(1 << 14) // x.size)
    for copies in (1, many):
        images = np.tile(x, (copies, 1, 1, 1))
        values = run(text(*window, extra=extra), {"x": images}, force_backward=False).tops["top"]
        np.testing.assert_array_equal(values, np.tile(top, (copies, 1, 1, 1)).astype(np.float32))


@settings(max_examples=150, deadline=None)
@given(geometries())
def test_average_pooling_divides_by_the_window_in_the_padded_image(geometry):
    size, window, ceil = geometry
    x = random(2, 2, *size)
    extra = "" if ceil else "round_mode: FLOOR"
    result = run(text(*window, method="AVE", extra=extra), {"x": x})
    np.testing.assert_allclose(result.tops["top"], pooled(x, *window, method="AVE", ceil=ceil)[0], atol=1e-5)


@settings(max_examples=15, deadline=None)
@given(geometries(), st.sampled_from(["MAX", "AVE"]))
def test_gradients(geometry, method):
    size, window, ceil = geometry
    x = random(1, 1, *size)
    top = pooled(x, *window, method=method, ceil=ceil)[0]
    assume(np.isfinite(top).all() and top.min() > LOWEST)
    extra = "" if ceil else "round_mode: FLOOR"
    check_gradient(text(*window, method=method, extra=extra), {"x": x})


@pytest.mark.parametrize(
    "size, body, expected",
    [
        ((4, 4), "kernel_size: 2 stride: 3", [6, 8, 14, 16]),
        ((4, 4), "pool: AVE kernel_size: 3 stride: 2", [6, 7.5, 12, 13.5]),
        ((4, 4), "kernel_size: 3 stride: 2 round_mode: FLOOR", [11]),
        ((4, 4), "kernel_size: 3 stride: 2 pad: 1", [6, 8, 8, 14, 16, 16, 14, 16, 16]),
        (
            (4, 4),
            "pool: AVE kernel_size: 3 stride: 2 pad: 1",
            [14 / 9, 10 / 3, 2, 19 / 3, 11, 6, 4.5, 7.5, 4],
        ),
        ((3, 3), "kernel_size: 2 stride: 2 pad: 1", [1, 3, 7, 9]),
        ((5, 5), "kernel_size: 1 stride: 3", [1, 4, LOWEST, 16, 19, LOWEST, LOWEST, LOWEST, LOWEST]),
        ((2, 2), "kernel_size: 3 stride: 2", [4]),
        ((3, 5), "pool: AVE global_pooling: true", [8]),
        ((3, 5), "global_pooling: true engine: CUDNN", [15]),
    ],
)
def test_values_of_caffe(size, body, expected):
    x = np.arange(1, 1 + math.prod(size), dtype=np.float32).reshape(1, 1, *size)
    top = run(f'type: "Pooling" pooling_param {{ {body} }}', {"x": x}).tops["top"]
    np.testing.assert_allclose(top.ravel(), expected, rtol=1e-6)


def test_an_average_over_nothing_is_nan_and_passes_no_gradient():
    body = 'type: "Pooling" pooling_param { pool: AVE kernel_size: 1 stride: 3 }'
    result = run(body, {"x": np.ones((1, 1, 3, 3))}, topdiff=np.ones((1, 1, 2, 2)))
    np.testing.assert_array_equal(np.isnan(result.tops["top"][0, 0]), [[False, True], [True, True]])
    np.testing.assert_array_equal(result.bottom_diffs["x"][0, 0], [[1, 0, 0], [0, 0, 0], [0, 0, 0]])


def test_global_pooling_follows_the_image():
    net = build('type: "Pooling" pooling_param { pool: AVE global_pooling: true }', {"x": random(1, 2, 3, 4)})
    net.blobs["x"].reshape(2, 2, 6, 5)
    x = random(2, 2, 6, 5)
    np.testing.assert_allclose(forward(net, {"x": x})["top"][..., 0, 0], x.mean((2, 3)), atol=1e-6)


STOCHASTIC = 'type: "Pooling" pooling_param { pool: STOCHASTIC kernel_size: 2 stride: 2 }'


def test_stochastic_pooling_at_test_weights_values_by_themselves():
    x = np.abs(random(1, 1, 3, 3))
    x[0, 0, 2, 2] = 0
    top = run(STOCHASTIC, {"x": x}).tops["top"][0, 0]
    for row, col in np.ndindex(2, 2):
        window = x[0, 0, 2 * row : 2 * row + 2, 2 * col : 2 * col + 2]
        expected = (window**2).sum() / window.sum() if window.sum() else 0
        assert top[row, col] == pytest.approx(expected, rel=1e-5)


def test_stochastic_pooling_at_training_draws_in_proportion():
    caffe.set_random_seed(3)
    x = np.tile(np.array([[1.0, 2], [3, 4]]), (1, 1, 60, 60))
    dy = np.ones((1, 1, 60, 60))
    result = run(STOCHASTIC, {"x": x}, phase=caffe.TRAIN, topdiff=dy)
    shares = [(result.tops["top"] == value).mean() for value in (1, 2, 3, 4)]
    np.testing.assert_allclose(shares, [0.1, 0.2, 0.3, 0.4], atol=0.03)
    # The gradient goes where the value was drawn from.
    picked = x * result.bottom_diffs["x"]
    np.testing.assert_array_equal(picked.reshape(60, 2, 60, 2).sum((1, 3)), result.tops["top"][0, 0])
    with pytest.raises(LayerError, match="STOCHASTIC has no gradient in phase TEST"):
        run(STOCHASTIC, {"x": x}, topdiff=dy)


@pytest.mark.parametrize(
    "body, message",
    [
        ("", "exactly one of the two"),
        ("kernel_h: 2", "exactly one of the two"),
        ("kernel_size: 2 kernel_h: 2 kernel_w: 2", "exactly one of the two"),
        ("kernel_size: 0", "kernel must not be 0"),
        ("kernel_size: 2 stride: 0", "stride must not be 0"),
        ("kernel_size: 2 stride_h: 2", "both stride_h and stride_w"),
        ("kernel_size: 2 pad: 1 pad_h: 1 pad_w: 1", "both pad_h and pad_w"),
        ("kernel_size: 2 pad: 2", r"pad \(2, 2\) must be smaller than the kernel \(2, 2\)"),
        ("global_pooling: true kernel_size: 2", "global_pooling takes the input's size"),
        ("global_pooling: true pad: 1", "global_pooling needs pad 0 and stride 1"),
        ("global_pooling: true stride: 2", "global_pooling needs pad 0 and stride 1"),
        ("pool: STOCHASTIC kernel_size: 2 pad: 1", "padding is implemented only for average and max"),
        ("kernel_size: 9", r"kernel \(9, 9\).*does not fit the input \(4, 5\)"),
    ],
)
def test_refusals_name_the_layer_and_the_field(body, message):
    with pytest.raises(LayerError, match=rf"'layer' \(Pooling\).*{message}"):
        build(f'type: "Pooling" pooling_param {{ {body} }}', {"x": random(1, 2, 4, 5)})


def test_only_four_axes_and_only_max_has_a_mask():
    with pytest.raises(LayerError, match=r"4 axes.*\(2, 4, 5\)"):
        build('type: "Pooling" pooling_param { kernel_size: 2 }', {"x": random(2, 4, 5)})
    with pytest.raises(LayerError, match="second top"):
        body = 'type: "Pooling" pooling_param { kernel_size: 2 pool: AVE }'
        build(body, {"x": random(1, 2, 4, 5)}, tops=("top", "mask"))


def spp_reference(x: np.ndarray, height: int, method: str = "MAX") -> np.ndarray:
    levels = []
    for bins in (2**i for i in range(height)):
        kernel = [math.ceil(n / bins) for n in x.shape[2:]]
        pad = [(k * bins - n + 1) // 2 for k, n in zip(kernel, x.shape[2:])]
        levels.append(pooled(x, kernel, kernel, pad, method)[0].reshape(len(x), -1))
    return np.concatenate(levels, 1)


@pytest.mark.parametrize("method", ["MAX", "AVE"])
@pytest.mark.parametrize("size, height", [((5, 6), 2), ((8, 7), 3), ((9, 9), 3)])
def test_spp_is_a_pyramid_of_poolings(size, height, method):
    body = f'type: "SPP" spp_param {{ pyramid_height: {height} pool: {method} engine: CUDNN }}'
    x = random(2, 2, *size)
    expected = spp_reference(x, height, method)
    net = build(body, {"x": random(1, 2, 6, 6)})
    net.blobs["x"].reshape(*x.shape)
    np.testing.assert_allclose(forward(net, {"x": x})["top"], expected, atol=1e-5)
    check_gradient(body, {"x": x[:1, :1]})


def test_spp_of_one_level_is_a_plain_pooling():
    x = random(2, 3, 4, 5)
    top = run('type: "SPP" spp_param { pyramid_height: 1 }', {"x": x}).tops["top"]
    np.testing.assert_allclose(top, x.max((2, 3), keepdims=True), rtol=1e-6)


@pytest.mark.parametrize(
    "shape, body, message",
    [
        ((1, 1, 4, 4), "", "pyramid_height"),
        ((1, 1, 5, 8), "pyramid_height: 3", r"must be smaller than the kernel.*\(5, 8\)"),
        ((1, 4, 4), "pyramid_height: 2", "4 axes"),
    ],
)
def test_spp_refusals(shape, body, message):
    with pytest.raises(LayerError, match=message):
        build(f'type: "SPP" spp_param {{ {body} }}', {"x": random(*shape)})


@pytest.mark.parametrize("pool", ["MAX", "AVE"])
def test_spp_of_no_images(pool):
    text, x = f'type: "SPP" spp_param {{ pyramid_height: 2 pool: {pool} }}', np.zeros((0, 3, 4, 6))
    result = run(text, {"x": x}, topdiff=np.zeros((0, 15)))
    assert result.tops["top"].shape == (0, 15)
    assert result.bottom_diffs["x"].shape == x.shape


@pytest.mark.parametrize(("pool", "value"), [("MAX", np.finfo("f").min), ("AVE", 0)])
def test_windows_in_the_padding_of_an_image_without_rows(pool, value):
    text = f'type: "Pooling" pooling_param {{ kernel_size: 3 stride: 2 pad: 1 pool: {pool} }}'
    x = np.zeros((1, 2, 0, 6))
    result = run(text, {"x": x}, topdiff=np.ones((1, 2, 1, 4)))
    np.testing.assert_array_equal(result.tops["top"], np.full((1, 2, 1, 4), value, "f"))
    assert result.bottom_diffs["x"].shape == x.shape


def test_pooling_windows_beyond_the_image_touch_nothing():
    x = np.arange(1.0, 26).reshape(1, 1, 5, 5)
    text = 'type: "Pooling" pooling_param { kernel_size: 1 stride: 3 }'
    found = run(text, {"x": x}, topdiff=np.ones((1, 1, 3, 3)))
    lowest = -np.finfo(np.float32).max
    np.testing.assert_allclose(
        found.tops["top"][0, 0], [[1, 4, lowest], [16, 19, lowest], [lowest] * 3], rtol=1e-6
    )
    assert found.bottom_diffs["x"].sum() == 4
