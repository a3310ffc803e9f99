"""Convolution, Deconvolution and Im2col against sums over windows written out in NumPy."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

import caffe
from caffe._caffe.errors import LayerError
from tests.engine.support.layer_case import build, check_gradient, forward, random, run


def placements(
    size: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    pad: Sequence[int],
    dilation: Sequence[int],
) -> tuple[int, ...]:
    """Windows per axis; `int` truncates toward zero as C does."""
    return tuple(
        int((n + 2 * p - (d * (k - 1) + 1)) / s) + 1
        for n, k, s, p, d in zip(size, kernel, stride, pad, dilation)
    )


def taps(
    x: np.ndarray, kernel: Sequence[int], stride: Sequence[int], pad: Sequence[int], dilation: Sequence[int]
) -> np.ndarray:
    """(N, C, kernel..., placements...): what each window sees, 0 outside the input."""
    size = x.shape[2:]
    places = placements(size, kernel, stride, pad, dilation)
    result = np.zeros((*x.shape[:2], *kernel, *places))
    for offset in itertools.product(*map(range, kernel)):
        for place in itertools.product(*map(range, places)):
            at = tuple(o * s - p + i * d for o, s, p, i, d in zip(place, stride, pad, offset, dilation))
            if all(0 <= a < n for a, n in zip(at, size)):
                result[(slice(None), slice(None), *offset, *place)] = x[(slice(None), slice(None), *at)]
    return result


def untaps(
    cols: np.ndarray,
    size: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    pad: Sequence[int],
    dilation: Sequence[int],
) -> np.ndarray:
    """The transpose of `taps`: every tap goes back to where it was read."""
    x = np.zeros((*cols.shape[:2], *size))
    for offset in itertools.product(*map(range, kernel)):
        for place in itertools.product(*map(range, cols.shape[2 + len(kernel) :])):
            at = tuple(o * s - p + i * d for o, s, p, i, d in zip(place, stride, pad, offset, dilation))
            if all(0 <= a < n for a, n in zip(at, size)):
                x[(slice(None), slice(None), *at)] += cols[(slice(None), slice(None), *offset, *place)]
    return x


def convolved(
    x: np.ndarray, weight: np.ndarray, bias: np.ndarray, window: Sequence[Sequence[int]], group: int = 1
) -> np.ndarray:
    """The top of a Convolution, group by group."""
    kernel = window[0]
    cols = taps(x, *window)
    places = cols.shape[2 + len(kernel) :]
    cols = cols.reshape(len(x), group, -1, math.prod(places))
    weight = weight.reshape(group, len(weight) // group, -1)
    return np.einsum("gok,ngkl->ngol", weight, cols).reshape(len(x), -1, *places) + bias.reshape(
        -1, *[1] * len(kernel)
    )


def text(kind: str, num_output: int, window: Sequence[Sequence[int]], extra: str = "") -> str:
    fields = zip(("kernel_size", "stride", "pad", "dilation"), window)
    body = " ".join(f"{name}: {value}" for name, values in fields for value in values)
    return f'type: "{kind}" convolution_param {{ num_output: {num_output} {body} {extra} }}'


@st.composite
def windows(draw: st.DrawFn, axes: int) -> tuple[Any, ...]:
    """Per axis: an input size, kernel, stride, pad and dilation that give at least one placement."""
    numbers = []
    for _ in range(axes):
        n, k, s, p, d = (draw(st.integers(*span)) for span in ((1, 7), (1, 4), (1, 3), (0, 2), (1, 2)))
        assume(placements((n,), (k,), (s,), (p,), (d,))[0] > 0)
        numbers.append((n, k, s, p, d))
    size, *window = zip(*numbers)
    return size, tuple(window)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 3).flatmap(windows), st.sampled_from([1, 2]))
@example(((1, 1, 1), ((2, 1, 1), (2, 2, 1), (0, 1, 1), (1, 1, 1))), 1)  # its windows are no new memory
@example(((12, 9), ((5, 4), (2, 1), (2, 1), (1, 1))), 1)  # few channels under a large kernel
def test_convolution_is_the_sum_over_its_windows(geometry, group):
    size, window = geometry
    x, bias = random(2, 2, *size), random(4)
    weight = random(4, 2 // group, *window[0], seed=1)
    top = run(text("Convolution", 4, window, f"group: {group}"), {"x": x}, [weight, bias]).tops["top"]
    assert top.shape == (2, 4, *placements(size, *window))
    np.testing.assert_allclose(top, convolved(x, weight, bias, window, group), atol=1e-4)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 3).flatmap(windows), st.sampled_from([1, 2]))
def test_deconvolution_is_the_transpose_of_convolution(geometry, group):
    places, window = geometry
    size = tuple(s * (n - 1) + d * (k - 1) + 1 - 2 * p for n, k, s, p, d in zip(places, *window))
    assume(min(size) > 0)
    y = random(2, 4, *places)
    weight, bias = random(4, 3, *window[0], seed=1), random(3 * group)
    top = run(text("Deconvolution", 3 * group, window, f"group: {group}"), {"y": y}, [weight, bias]).tops[
        "top"
    ]
    split = weight.reshape(group, 4 // group, -1)
    cols = np.einsum("gok,ngol->ngkl", split, y.reshape(2, group, 4 // group, -1))
    expected = untaps(cols.reshape(2, 3 * group, *window[0], *places), size, *window)
    assert top.shape == (2, 3 * group, *size)
    np.testing.assert_allclose(top, expected + bias.reshape(-1, *[1] * len(size)), atol=1e-4)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 3).flatmap(windows))
def test_im2col_lays_windows_out_as_channels_and_sums_them_back(geometry):
    size, window = geometry
    x = random(2, 3, *size)
    cols = taps(x, *window)
    flat = (2, 3 * math.prod(window[0]), *placements(size, *window))
    dy = random(*flat, seed=2)
    body = text("Im2col", 1, window).replace("num_output: 1", "")
    result = run(body, {"x": x}, topdiff=dy)
    np.testing.assert_allclose(result.tops["top"], cols.reshape(flat), rtol=1e-6)
    expected = untaps(dy.reshape(cols.shape), size, *window)
    np.testing.assert_allclose(result.bottom_diffs["x"], expected, atol=1e-5)


@pytest.mark.parametrize("kind", ["Convolution", "Deconvolution"])
@pytest.mark.parametrize(
    "shape, window, extra",
    [
        ((2, 2, 5), ([3], [2], [1], [1]), ""),
        ((2, 2, 4, 5), ([3, 2], [2, 1], [1, 0], [1, 2]), ""),
        ((1, 4, 4, 3), ([2], [1], [1], [1]), "group: 2"),
        ((1, 2, 3, 3), ([3], [1], [1], [1]), "bias_term: false"),
        ((1, 2, 3, 2, 3), ([2], [1], [1], [1]), ""),
        ((1, 2, 2, 2, 2, 2), ([2], [1], [1], [1]), "group: 2"),  # four spatial axes
        ((1, 2, 3, 3), ([2], [1], [0], [0]), ""),  # dilation 0: every tap reads the same value
        ((2, 3), ([1], [1], [0], [1]), ""),  # no spatial axes
        ((2, 2, 3, 3), ([2], [1], [0], [1]), "axis: 2"),
        ((2, 2, 3, 3), ([2], [1], [0], [1]), "axis: -3"),
    ],
)
def test_gradients(kind, shape, window, extra):
    if len(shape) == 2:
        window = [list(values) for values in window]
    body = text(kind, 2, window, extra)
    x = random(*shape)
    net = build(body, {"x": x})
    params = [random(*blob.shape, seed=i) for i, blob in enumerate(net.params["layer"])]
    check_gradient(body, {"x": x}, params)


@pytest.mark.parametrize(
    "shape, window", [((1, 2, 3, 4), ([4, 5], [3, 3], [0], [1])), ((1, 1, 2), ([4], [3], [0], [1]))]
)
def test_a_kernel_a_little_larger_than_the_input_fits_once(shape, window):
    full = [values * (len(shape) - 2) if len(values) == 1 else values for values in window]
    weight, bias = random(2, shape[1], *full[0]), random(2)
    x = random(*shape)
    top = run(text("Convolution", 2, window), {"x": x}, [weight, bias]).tops["top"]
    assert top.shape == (1, 2, *[1] * (len(shape) - 2))
    np.testing.assert_allclose(top, convolved(x, weight, bias, full), atol=1e-5)
    check_gradient(text("Convolution", 2, window), {"x": x}, [weight, bias])


def test_a_kernel_larger_by_a_stride_leaves_an_empty_top():
    net = build(text("Convolution", 2, ([4], [1], [0], [1])), {"x": random(1, 1, 3, 3)})
    net.forward()
    assert net.blobs["top"].data.shape == (1, 2, 0, 0)


def test_every_bottom_uses_and_trains_the_same_weights():
    body = 'type: "Convolution" bottom: "a" bottom: "b" top: "c" top: "d" '
    body += "convolution_param { num_output: 2 kernel_size: 2 }"
    inputs = {"a": random(1, 2, 3, 3), "b": random(1, 2, 3, 3, seed=1)}
    params = [random(2, 2, 2, 2, seed=2), random(2)]
    tops = run(body, inputs, params).tops
    window = ((2, 2), (1, 1), (0, 0), (1, 1))
    for bottom, top in (("a", "c"), ("b", "d")):
        np.testing.assert_allclose(tops[top], convolved(inputs[bottom], *params, window), atol=1e-5)
    check_gradient(body, inputs, params)


def test_parameter_gradients_accumulate_and_bottom_gradients_do_not():
    x, dy = random(1, 2, 4, 4), random(1, 3, 2, 2)
    net = build(text("Convolution", 3, ([3], [1], [0], [1])), {"x": x}, [random(3, 2, 3, 3), random(3)])
    forward(net, {"x": x})
    net.blobs["top"].diff[...] = dy
    net.backward()
    once = [blob.diff.copy() for blob in net.params["layer"]]
    down = net.blobs["x"].diff.copy()
    net.backward()
    for blob, diff in zip(net.params["layer"], once):
        np.testing.assert_allclose(blob.diff, 2 * diff, rtol=1e-5)
    np.testing.assert_allclose(net.blobs["x"].diff, down)


def test_a_frozen_weight_gets_no_gradient():
    layers = """
        layer { name: "up" type: "Deconvolution" bottom: "x" top: "y"
                param { lr_mult: 0 } param { lr_mult: 1 } convolution_param { num_output: 1 kernel_size: 2 } }
        layer { name: "loss" type: "EuclideanLoss" bottom: "y" bottom: "z" top: "loss" }"""
    inputs = {"x": random(1, 1, 2, 2), "z": random(1, 1, 3, 3)}
    result = run(layers, inputs, [random(1, 1, 2, 2), random(1)], topdiff={}, force_backward=False)
    assert not result.param_diffs[0].any()
    assert result.param_diffs[1].all()


def test_kernel_stride_and_pad_by_height_and_width():
    x = random(1, 1, 6, 7)
    weight, bias = random(2, 1, 2, 3, seed=1), random(2)
    body = (
        'type: "Convolution" convolution_param { num_output: 2 kernel_h: 2 kernel_w: 3 stride_h: 2 '
        "stride_w: 1 pad_w: 2 engine: CUDNN force_nd_im2col: true }"
    )
    window = ((2, 3), (2, 1), (0, 2), (1, 1))
    np.testing.assert_allclose(
        run(body, {"x": x}, [weight, bias]).tops["top"], convolved(x, weight, bias, window), atol=1e-5
    )


def test_a_net_reshapes_to_a_new_image_size_but_not_to_other_channels():
    body = text("Convolution", 2, ([3], [1], [0], [1]))
    net = build(body, {"x": random(1, 2, 5, 5)})
    net.blobs["x"].reshape(3, 2, 8, 4)
    net.forward()
    assert net.blobs["top"].data.shape == (3, 2, 6, 2)
    net.blobs["x"].reshape(1, 3, 5, 5)
    with pytest.raises(LayerError, match=r"2 channels at set-up.*\(1, 3, 5, 5\)"):
        net.forward()
    net.blobs["x"].reshape(1, 2, 5)
    with pytest.raises(LayerError, match=r"4 axes at set-up.*\(1, 2, 5\)"):
        net.forward()


@pytest.mark.parametrize(
    "body, message",
    [
        ("kernel_size: 3", "num_output"),
        ("num_output: 2", "kernel_size must be specified once.*0 times.*2 spatial"),
        ("num_output: 2 kernel_size: 3 kernel_size: 2 kernel_size: 1", "specified 3 times"),
        ("num_output: 2 kernel_size: 3 stride: 1 stride: 1 stride: 1", "stride must be specified once"),
        ("num_output: 2 kernel_size: 0", "kernel_size must not be 0"),
        ("num_output: 2 kernel_h: 3", "kernel_size must not be 0"),
        ("num_output: 2 kernel_size: 3 stride_h: 2", "stride must not be 0"),
        ("num_output: 2 kernel_size: 3 kernel_h: 3 kernel_w: 3", "not both"),
        ("num_output: 2 kernel_size: 3 pad: 1 pad_h: 1 pad_w: 1", "not both"),
        ("num_output: 2 kernel_size: 1 group: 7", r"channels \(4\).*group \(7\)"),
        ("num_output: 3 kernel_size: 1 group: 2", r"num_output \(3\).*group \(2\)"),
        ("num_output: 2 kernel_size: 1 group: 0", "group must be positive"),
        ("num_output: 2 kernel_size: 50", r"not fit the bottom \(1, 4, 6, 7\)"),
    ],
)
def test_refusals_name_the_layer_and_the_field(body, message):
    with pytest.raises(LayerError, match=rf"'layer' \(Convolution\).*{message}"):
        build(f'type: "Convolution" convolution_param {{ {body} }}', {"x": random(1, 4, 6, 7)})


@pytest.mark.parametrize(
    "kind, inputs, body, message",
    [
        (
            "Convolution",
            [(1, 2, 5)],
            "num_output: 2 kernel_h: 3 kernel_w: 3",
            "2 spatial axes; this input has 1",
        ),
        ("Convolution", [(1, 2, 5, 5), (1, 2, 6, 5)], "num_output: 2 kernel_size: 3", "one shape"),
        ("Deconvolution", [(1, 2, 1, 1)], "num_output: 2 kernel_size: 1 pad: 3", "not fit"),
        ("Im2col", [(1, 2)], "kernel_size: 1", "needs a spatial axis"),
        ("Im2col", [(1, 2, 3, 3)], "kernel_size: 9", "not fit"),
    ],
)
def test_refusals_of_shapes(kind, inputs, body, message):
    arrays = {f"x{i}": random(*shape) for i, shape in enumerate(inputs)}
    with pytest.raises(LayerError, match=message):
        build(
            f'type: "{kind}" convolution_param {{ {body} }}',
            arrays,
            tops=[f"y{i}" for i in range(len(inputs))],
        )


def test_training_and_testing_agree(monkeypatch):
    monkeypatch.setenv("CAFFE_ALGORITHMS", "reference")  # of the layer; the fast path fuses by phase
    body = text("Convolution", 2, ([3], [1], [1], [1]))
    x, params = random(1, 2, 4, 4), [random(2, 2, 3, 3), random(2)]
    tops = [run(body, {"x": x}, params, phase=phase).tops["top"] for phase in (caffe.TRAIN, caffe.TEST)]
    np.testing.assert_array_equal(*tops)


@pytest.mark.parametrize("field", ["stride: 0", "stride_h: 0 stride_w: 1", "stride_h: 2"])
def test_a_stride_of_zero_is_refused_by_name(field):
    with pytest.raises(LayerError, match="stride must not be 0"):
        build(f'type: "Convolution" convolution_param {{ num_output: 1 kernel_size: 1 {field} }}',
              {"x": random(1, 1, 3, 3)})  # fmt: skip
